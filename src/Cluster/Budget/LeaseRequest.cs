namespace UPool.Cluster.Budget;

/// <summary>The role of a process in the budget.</summary>
internal enum LeaseRole
{
    /// <summary>A silo, with a pool.</summary>
    Silo = 0,

    /// <summary>A client of the cluster without a pool: it takes one of <see cref="BudgetSettings.MaxClients"/>, for
    /// its control connections, and no permits.</summary>
    Client,
}

/// <summary>
/// An incarnation's request for its first lease or a renewal: what it holds, its counts and its configuration. Made by
/// <see cref="LeaseHolder"/>; answered by the coordinator after the ledger has been written.
/// </summary>
[GenerateSerializer, Immutable]
[Alias("UPool.LeaseRequest")]
internal sealed record LeaseRequest
{
    /// <summary>The longest incarnation: the width of the register's column.</summary>
    public const int MaxIncarnationLength = 128;

    /// <summary>One life of the silo's process: ASCII, at most <see cref="MaxIncarnationLength"/> characters, never
    /// used twice.</summary>
    [Id(0)] public required string Incarnation { get; init; }

    /// <summary>Silo or client.</summary>
    [Id(1)] public LeaseRole Role { get; init; }

    /// <summary>Counts the requests of this incarnation from 1; copies of a request share its number. The coordinator
    /// drops a request that is not newer than the newest it has seen; the holder drops an answer to any but its
    /// newest.</summary>
    [Id(2)] public required long Sequence { get; init; }

    /// <summary>The grant that was applied to the pool before <see cref="Figures"/> were taken; 0 before the
    /// first.</summary>
    [Id(3)] public long AppliedGrant { get; init; }

    /// <summary>The permits set in the pool; 0 once the lease has ended.</summary>
    [Id(4)] public int Permits { get; init; }

    /// <summary>The time left of the lease by the holder's clock; zero without one.</summary>
    [Id(5)] public TimeSpan Remaining { get; init; }

    /// <summary>The pool's counts.</summary>
    [Id(6)] public LeaseFigures Figures { get; init; }

    /// <summary>The most permits this silo can use: its <c>MaxConnections</c>.</summary>
    [Id(7)] public int Ceiling { get; init; }

    /// <summary>Its weight beside others: one of weight 2 gets twice what one of weight 1 gets. 1 to 100.</summary>
    [Id(8)] public int Weight { get; init; } = 1;

    /// <summary>The configuration of this process.</summary>
    [Id(9)] public required BudgetSettings Settings { get; init; }

    /// <summary>The silo leaves: it opens nothing any more, and returns the permits of the connections it closes. Once
    /// its figures are all 0 it holds nothing.</summary>
    [Id(10)] public bool IsLeaving { get; init; }

    /// <summary>The silo has just seen a restart of the server: the coordinator should look at the server.</summary>
    [Id(11)] public bool SawRestart { get; init; }
}
