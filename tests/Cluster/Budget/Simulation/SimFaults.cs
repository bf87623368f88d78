namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>Where a process can be stopped or die: between a check and its act, or between two acts.</summary>
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

/// <summary>What is switched off: each must be found out.</summary>
internal enum SimSwitch
{
    None,

    /// <summary>Permits are given away after lease and grace, without asking the server.</summary>
    AskingTheServer,

    /// <summary>Every reply counts, and every request.</summary>
    Sequence,

    /// <summary>Silos are answered before the ledger is written, whatever comes of the write.</summary>
    WriteBeforeAnswer,

    /// <summary>The pool does not compare the end of its lease; the agent's timers alone do.</summary>
    LeaseCheck,

    /// <summary>The coordinator reclaims at the end of a lease.</summary>
    Grace,
}

/// <summary>How often what goes wrong. Chances are of one event; rates are per second of the whole cluster.</summary>
internal sealed record SimFaults
{
    public SimSwitch Off { get; init; }

    public double Loss { get; init; }

    public double Duplicates { get; init; }

    /// <summary>The chance that a message takes up to <see cref="LongDelay"/> instead of some milliseconds: it is then
    /// overtaken.</summary>
    public double Delays { get; init; }

    public long LongDelay { get; init; } = 12 * SimScheduler.Second;

    /// <summary>The chance that a storage call's outcome stays unknown: before it was done, after it was done, or done
    /// late.</summary>
    public double UnknownWrites { get; init; }

    /// <summary>The longest that a storage call takes.</summary>
    public long StorageDelay { get; init; } = 2 * SimScheduler.Millisecond;

    /// <summary>The chance at each point that the process stops there.</summary>
    public double Stops { get; init; }

    /// <summary>The chance at each point that the process dies there.</summary>
    public double Crashes { get; init; }

    /// <summary>The one point to which stops and crashes are confined; all when null.</summary>
    public SimPoint? Only { get; init; }

    /// <summary>The longest stop.</summary>
    public long LongestStop { get; init; } = 40 * SimScheduler.Second;

    public double DemandChanges { get; init; }

    /// <summary>Sessions that the server ends by itself.</summary>
    public double SessionLosses { get; init; }

    public double Partitions { get; init; }

    public double Freezes { get; init; }

    public double Restarts { get; init; }

    public double CoordinatorLosses { get; init; }

    public double Splits { get; init; }

    public double Leaves { get; init; }

    /// <summary>The chance that a statement is long: its connection is away for up to 40 seconds.</summary>
    public double LongStatements { get; init; } = 0.01;

    public static SimFaults None { get; } = new() { LongStatements = 0 };

    /// <summary>Everything, at rates at which a cluster still gets something done.</summary>
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

/// <summary>What the simulation found: a promise that was broken.</summary>
internal sealed class SimViolationException(string message) : Exception(message);
