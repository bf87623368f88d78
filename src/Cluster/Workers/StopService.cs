using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.GrainDirectory;
using Orleans.Runtime.Services;
using Orleans.Services;

namespace UPool.Cluster.Workers;

/// <summary>Stops calls that run in one silo.</summary>
[Alias("UPool.IStopService")]
internal interface IStopService : IGrainService
{
    /// <summary>Stops those of the calls that run here.</summary>
    [OneWay, Alias("Stop")]
    Task Stop(Guid[] calls);
}

/// <summary>Stops calls wherever they run. A client sends this to any silo, because it cannot know which one has
/// them.</summary>
[Alias("UPool.IStopGrain")]
internal interface IStopGrain : IGrainWithIntegerKey
{
    /// <summary>Stops those of the calls that still run.</summary>
    [Spread, Alias("Stop")]
    Task Stop(Guid[] calls);
}

internal sealed class StopService(GrainId id, Silo silo, ILoggerFactory loggers, RunningCalls running)
    : GrainService(id, silo, loggers), IStopService
{
    public Task Stop(Guid[] calls)
    {
        foreach (Guid call in calls) running.Stop(call);
        return Task.CompletedTask;
    }
}

internal sealed class StopServiceClient(IServiceProvider services) : GrainServiceClient<IStopService>(services)
{
    public IStopService Of(SiloAddress silo) => GetGrainService(silo);
}

[StatelessWorker(1, false)]
[Reentrant]
[GrainDirectory(GrainDirectoryName = NoGrainDirectory.Name)]
internal sealed class StopGrain(StopServiceClient services, IClusterMembershipService membership) : Grain, IStopGrain
{
    public Task Stop(Guid[] calls)
    {
        foreach ((SiloAddress silo, ClusterMember member) in membership.CurrentSnapshot.Members)
        {
            // A silo that shuts down still has calls to finish, and so to stop.
            if (member.Status is SiloStatus.Active or SiloStatus.ShuttingDown) services.Of(silo).Stop(calls).Ignore();
        }

        return Task.CompletedTask;
    }
}

/// <summary>Stops calls in the background.</summary>
internal sealed class CallStopper(IGrainFactory grains, TimeProvider clock)
{
    // A stop only saves work: a call that it misses ends at its deadline. So stops are limited in number and time.
    private const int MaxUnderWay = 256;
    private const int MaxAttempts = 2;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    private int _underWay;

    public void Stop(Guid[] calls)
    {
        if (Interlocked.Increment(ref _underWay) > MaxUnderWay)
        {
            Interlocked.Decrement(ref _underWay);
            return;
        }

        StopAsync(calls).Ignore();
    }

    private async Task StopAsync(Guid[] calls)
    {
        try
        {
            for (int attempt = 0; attempt < MaxAttempts; attempt++)
            {
                try
                {
                    await grains.GetGrain<IStopGrain>(0).Stop(calls).WaitAsync(Timeout, clock);
                    return;
                }
                catch (Exception exception) when (WorkerFailures.IsLost(exception))
                {
                    // The next attempt goes to the next silo.
                }
            }
        }
        finally
        {
            Interlocked.Decrement(ref _underWay);
        }
    }
}
