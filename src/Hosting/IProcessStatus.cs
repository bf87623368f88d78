namespace UPool.Hosting;

/// <summary>Where this process stands, for health endpoints.</summary>
public interface IProcessStatus
{
    /// <summary>Whether the host has started: where it has a silo or a client of a cluster, whether that is active or
    /// connected. Once true it stays true.</summary>
    bool IsStarted { get; }

    /// <summary>Whether the process is stopping: it takes no new work.</summary>
    bool IsStopping { get; }

    /// <summary>The problem with the start or the pool, in one plain line without any secret.</summary>
    PoolHealth Health { get; }
}
