namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>The points at which a process can stop or die: between a check and its action, or between two
/// actions.</summary>
public enum SimPoint
{
    // Of a pool.
    BeforeConnect,
    AfterHandshake,
    BeforeRegister,
    AfterRegister,
    BeforeReturn,
    BeforeClose,

    // Of an agent.
    BeforeAsk,
    BeforeSend,
    BeforeAccept,
    LeaseEnd,

    // Of a coordinator.
    BeforeRead,
    AfterRead,
    BeforeApply,
    BeforeWrite,
    AfterWrite,
    BeforeReply,
    BeforeReclaim,
    BeforeKill,
    BeforeReportGone,
    BeforeLook,
    AfterLook,
}

/// <summary>The safeguard that is switched off; the simulation must detect each.</summary>
internal enum SimSwitch
{
    None,

    /// <summary>Reassigns permits after lease and grace without asking the server.</summary>
    AskingTheServer,

    /// <summary>Accepts every reply and every request, outdated ones included.</summary>
    Sequence,

    /// <summary>Replies to silos before the ledger is written, whatever the write's outcome.</summary>
    WriteBeforeAnswer,

    /// <summary>The pool does not compare the lease's end; only the agent's timers enforce it.</summary>
    LeaseCheck,

    /// <summary>The coordinator reclaims at the end of the lease, without the grace.</summary>
    Grace,
}

/// <summary>The frequency of each fault. Chances are per event; rates are per second for the whole cluster.</summary>
internal sealed record SimFaults
{
    public SimSwitch Off { get; init; }

    public double Loss { get; init; }

    public double Duplicates { get; init; }

    /// <summary>The chance that a message takes up to <see cref="LongDelay"/> instead of some milliseconds, so that
    /// later messages overtake it.</summary>
    public double Delays { get; init; }

    public long LongDelay { get; init; } = 12 * SimScheduler.Second;

    /// <summary>The chance that the outcome of a storage call stays unknown: not done, done, or done late.</summary>
    public double UnknownWrites { get; init; }

    /// <summary>The longest time of a storage call.</summary>
    public long StorageDelay { get; init; } = 2 * SimScheduler.Millisecond;

    /// <summary>The chance at each point that the process stops.</summary>
    public double Stops { get; init; }

    /// <summary>The chance at each point that the process dies.</summary>
    public double Crashes { get; init; }

    /// <summary>The only point for stops and crashes; null: every point.</summary>
    public SimPoint? Only { get; init; }

    /// <summary>The longest stop.</summary>
    public long LongestStop { get; init; } = 40 * SimScheduler.Second;

    public double DemandChanges { get; init; }

    /// <summary>The rate of sessions that the server closes on its own.</summary>
    public double SessionLosses { get; init; }

    public double Partitions { get; init; }

    public double Freezes { get; init; }

    public double Restarts { get; init; }

    public double CoordinatorLosses { get; init; }

    public double Splits { get; init; }

    public double Leaves { get; init; }

    /// <summary>The chance that a statement is long: it keeps its connection for up to 40 seconds.</summary>
    public double LongStatements { get; init; } = 0.01;

    public static SimFaults None { get; } = new() { LongStatements = 0 };

    /// <summary>All faults, at rates at which the cluster still makes progress.</summary>
    public static SimFaults All { get; } = new()
    {
        Loss = 0.03,
        Duplicates = 0.05,
        Delays = 0.02,
        UnknownWrites = 0.02,
        Stops = 0.001,
        Crashes = 0.0002,
        DemandChanges = 0.5,
        SessionLosses = 0.3,
        Partitions = 0.03,
        Freezes = 0.02,
        Restarts = 0.02,
        CoordinatorLosses = 0.03,
        Splits = 0.05,
        Leaves = 0.05,
    };
}

/// <summary>A violated guarantee that the simulation found.</summary>
internal sealed class SimViolationException(string message) : Exception(message);
