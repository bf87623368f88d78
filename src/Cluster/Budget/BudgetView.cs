namespace UPool.Cluster.Budget;

/// <summary>The state of an incarnation's lease.</summary>
internal enum LeaseState
{
    /// <summary>It renews.</summary>
    Live = 0,

    /// <summary>It renews, and has not acknowledged a shrink yet.</summary>
    Shrinking,

    /// <summary>Its lease has run out; its grace has not.</summary>
    Expired,

    /// <summary>Lease and grace have run out; its permits count until the server confirms that its sessions are
    /// gone.</summary>
    Reclaiming,

    /// <summary>It leaves, or has left.</summary>
    Leaving,

    /// <summary>Recorded by an earlier coordinator; it has not renewed since.</summary>
    Unheard,
}

/// <summary>Why a silo has fewer permits than it wants.</summary>
internal enum LeaseWait
{
    /// <summary>It has what it wants.</summary>
    None = 0,

    /// <summary>It has its fair share: all permits are in use, or it is at its ceiling.</summary>
    FairShare,

    /// <summary>Others have been told to shrink and have not acknowledged it yet.</summary>
    Shrinks,

    /// <summary>Permits of a dead incarnation count until the server confirms that its sessions are gone.</summary>
    Reclaims,

    /// <summary>The coordinator has just taken over.</summary>
    Learning,

    /// <summary>Sessions that belong to no incarnation in the ledger count as used.</summary>
    Orphans,
}

/// <summary>The ledger as operators see it.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.BudgetView")]
internal sealed record BudgetView
{
    /// <summary>The number in force.</summary>
    [Id(0)] public int ServerConnections { get; init; }

    /// <summary>The part of it that the silos' pools share.</summary>
    [Id(1)] public int Shared { get; init; }

    /// <summary>The connections that count as held, including unacknowledged shrinks and dead silos.</summary>
    [Id(2)] public int Held { get; init; }

    /// <summary>Sessions on the server that belong to no incarnation in the ledger.</summary>
    [Id(3)] public int Orphans { get; init; }

    /// <summary>Whether the coordinator has just taken over and lets no lease grow.</summary>
    [Id(4)] public bool IsLearning { get; init; }

    /// <summary>Whether live processes are configured differently.</summary>
    [Id(5)] public bool IsMismatched { get; init; }

    /// <summary>The number of writes of the ledger so far.</summary>
    [Id(6)] public long Revision { get; init; }

    /// <summary>Every incarnation that the ledger knows.</summary>
    [Id(7)] public LeaseView[] Leases { get; init; } = [];
}

/// <summary>One incarnation as operators see it.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.LeaseView")]
internal sealed record LeaseView
{
    /// <summary>One life of one process.</summary>
    [Id(0)] public required string Incarnation { get; init; }

    /// <summary>Silo or client.</summary>
    [Id(1)] public LeaseRole Role { get; init; }

    /// <summary>Its state.</summary>
    [Id(2)] public LeaseState State { get; init; }

    /// <summary>The permits of its newest grant.</summary>
    [Id(3)] public int Permits { get; init; }

    /// <summary>The connections that count against the budget for it.</summary>
    [Id(4)] public int Held { get; init; }

    /// <summary>The connections it could use, by its figures.</summary>
    [Id(5)] public int Wanted { get; init; }

    /// <summary>Why it has less than it wants.</summary>
    [Id(6)] public LeaseWait Wait { get; init; }

    /// <summary>The time left of its lease, by the coordinator's clock.</summary>
    [Id(7)] public TimeSpan Remaining { get; init; }

    /// <summary>Its figures at its last renewal.</summary>
    [Id(8)] public LeaseFigures Figures { get; init; }
}
