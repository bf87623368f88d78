namespace UPool.Cluster.Hosting;

/// <summary>Where this process stands, for health endpoints. In a process that is only a client of the cluster,
/// "started" means connected to it.</summary>
public interface ISiloStatus
{
    /// <summary>Whether the silo is active, or the client connected. Once true it stays true.</summary>
    bool IsStarted { get; }

    /// <summary>Whether the process is stopping: it takes no new work.</summary>
    bool IsStopping { get; }

    /// <summary>What ails the start or the pool, in one plain line without any secret.</summary>
    PoolHealth Health { get; }
}
