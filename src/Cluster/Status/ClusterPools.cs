using Microsoft.Extensions.Logging;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Status;

/// <summary>The pools of a whole cluster at one moment.</summary>
/// <param name="Silos">The pool of each silo, in the order of their addresses.</param>
/// <param name="Problem">Why this is not the whole picture, in one plain line; null when it is.</param>
public sealed record ClusterPools(IReadOnlyList<SiloPool> Silos, string? Problem);

/// <summary>Reads the pools of the cluster, from a silo or from a client of one.</summary>
/// <param name="grains">The cluster.</param>
/// <param name="logger">Where what went wrong is told.</param>
/// <param name="pool">The pool of this process, shown alone when the cluster cannot be asked; null in a
/// client.</param>
public sealed partial class ClusterPoolReader(
    IGrainFactory grains, ILogger<ClusterPoolReader> logger, PooledDataSource? pool = null)
{
    /// <summary>Asks every silo. Does not throw when none answers: the problem says so.</summary>
    public async Task<ClusterPools> ReadAsync()
    {
        try
        {
            return new ClusterPools(await grains.GetGrain<IPoolStatusGrain>(0).ReadAll(), null);
        }
        catch (Exception exception)
        {
            // Orleans' client throws more kinds than a list could hold while it is not connected; an operator who looks
            // is helped by whatever can still be seen.
            if (!WorkerFailures.IsLost(exception)) LogNotRead(exception);
            SiloPool[] own = pool is null ? [] : [new SiloPool { Silo = "this process", Pool = pool.Snapshot() }];
            return new ClusterPools(own, "The cluster cannot be asked: " + (own.Length == 0
                ? "no silo answers."
                : "no silo answers; this is the pool of this process alone."));
        }
    }

    [LoggerMessage(2701, LogLevel.Warning, "The pools of the cluster could not be read.")]
    private partial void LogNotRead(Exception exception);
}
