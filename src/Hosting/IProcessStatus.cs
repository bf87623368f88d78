namespace UPool.Hosting;

/// <summary>The status of this process, for health endpoints.</summary>
public interface IProcessStatus
{
    /// <summary>Whether the host has started; with a silo, whether the silo is active, and with a cluster client,
    /// whether it is connected. Once true it stays true.</summary>
    bool IsStarted { get; }

    /// <summary>Whether the process is stopping: it takes no new work.</summary>
    bool IsStopping { get; }

    /// <summary>The problem with the start or the pool, in one line without any secret.</summary>
    PoolHealth Health { get; }
}
