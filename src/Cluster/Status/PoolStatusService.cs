using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.GrainDirectory;
using Orleans.Runtime.Services;
using Orleans.Services;
using UPool.Cluster.Budget;
using UPool.Cluster.Workers;
using UPool.Hosting;

namespace UPool.Cluster.Status;

/// <summary>Reports the pool of one silo.</summary>
[Alias("UPool.IPoolStatusService")]
internal interface IPoolStatusService : IGrainService
{
    /// <summary>The pool at this moment. The timeout is short, because an operator reads it when something is
    /// wrong.</summary>
    [Alias("Read"), ResponseTimeout("00:00:01")]
    Task<SiloPool> Read();
}

/// <summary>Reports the pools of all silos. Any silo answers, so that a client need not know one.</summary>
[Alias("UPool.IPoolStatusGrain")]
internal interface IPoolStatusGrain : IGrainWithIntegerKey
{
    /// <summary>The pools at this moment; the problem of a silo that does not answer states that.</summary>
    [Alias("ReadAll"), ResponseTimeout("00:00:03")]
    Task<SiloPool[]> ReadAll();
}

internal sealed class PoolStatusService(
    GrainId id,
    Silo silo,
    ILoggerFactory loggers,
    ILocalSiloDetails details,
    PooledDataSource pool,
    LeaseHealth lease,
    IProcessStatus? status = null) : GrainService(id, silo, loggers), IPoolStatusService
{
    public Task<SiloPool> Read()
    {
        PoolSnapshot snapshot = pool.Snapshot();
        string? problem = (status?.Health ?? pool.Health).Problem ?? lease.Problem;
        return Task.FromResult(new SiloPool
        {
            Silo = details.SiloAddress.ToParsableString(),
            Pool = snapshot,
            Ceiling = pool.MaxConnections,
            LeaseLeft = lease.Left,
            Waits = PoolReport.DescribeWait(snapshot, pool.MaxConnections, problem),
            Problem = problem,
        });
    }
}

internal sealed class PoolStatusClient(IServiceProvider services) : GrainServiceClient<IPoolStatusService>(services)
{
    public IPoolStatusService Of(SiloAddress silo) => GetGrainService(silo);
}

[StatelessWorker(1, false)]
[Reentrant]
[GrainDirectory(GrainDirectoryName = NoGrainDirectory.Name)]
internal sealed class PoolStatusGrain(PoolStatusClient silos, IClusterMembershipService membership)
    : Grain, IPoolStatusGrain
{
    public Task<SiloPool[]> ReadAll() => Task.WhenAll(membership.CurrentSnapshot.Members
        .Where(static member => member.Value.Status is SiloStatus.Active or SiloStatus.ShuttingDown)
        .Select(static member => member.Key)
        .OrderBy(static silo => silo)
        .Select(ReadAsync));

    private async Task<SiloPool> ReadAsync(SiloAddress silo)
    {
        try
        {
            return await silos.Of(silo).Read();
        }
        catch (Exception exception) when (WorkerFailures.IsLost(exception))
        {
            return new SiloPool { Silo = silo.ToParsableString(), Problem = "The silo does not answer." };
        }
    }
}

internal static class PoolStatusHostExtensions
{
    /// <summary>Lets a silo report its pool, and those of the others.</summary>
    public static ISiloBuilder AddPoolStatus(this ISiloBuilder builder)
    {
        builder.Services.AddSingleton<PoolStatusClient>();
        builder.AddQuietService<PoolStatusService>();
        return builder;
    }
}
