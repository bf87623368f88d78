namespace UPool.Cluster.Budget;

/// <summary>Where an incarnation stands.</summary>
internal enum LeaseState
{
    /// <summary>It renews.</summary>
    Live = 0,

    /// <summary>It renews, and has not acknowledged a shrink yet.</summary>
    Shrinking,

    /// <summary>Its lease has run out; its grace has not.</summary>
    Expired,

    /// <summary>Lease and grace have run out; its permits count until the server says that its sessions are
    /// gone.</summary>
    Reclaiming,

    /// <summary>It leaves, or has left.</summary>
    Leaving,

    /// <summary>Recorded by the coordinator before this one; not heard of yet.</summary>
    Unheard,
}

/// <summary>Why a silo has fewer permits than it wants.</summary>
internal enum LeaseWait
{
    /// <summary>It has what it wants.</summary>
    None = 0,

    /// <summary>It has its fair share: all permits are in use, or it is at its ceiling.</summary>
    FairShare,

    /// <summary>Others have been told to give back, and have not acknowledged it yet.</summary>
    Shrinks,

    /// <summary>Permits of an incarnation that is gone wait for the server's word.</summary>
    Reclaims,

    /// <summary>The coordinator has just taken over.</summary>
    Learning,

    /// <summary>Sessions that nobody registered count as used.</summary>
    Orphans,
}

/// <summary>The ledger as operators see it.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.BudgetView")]
internal sealed record BudgetView
{
    /// <summary>The number that holds.</summary>
    [Id(0)] public int ServerConnections { get; init; }

    /// <summary>What of it the silos' pools share.</summary>
    [Id(1)] public int Shared { get; init; }

    /// <summary>What counts as held, shrinks that are not acknowledged and dead silos included.</summary>
    [Id(2)] public int Held { get; init; }

    /// <summary>Sessions on the server that belong to nobody the ledger knows.</summary>
    [Id(3)] public int Orphans { get; init; }

    /// <summary>Whether the coordinator has just taken over and lets nobody grow.</summary>
    [Id(4)] public bool IsLearning { get; init; }

    /// <summary>Whether live processes are configured differently.</summary>
    [Id(5)] public bool IsMismatched { get; init; }

    /// <summary>The writes of the ledger so far.</summary>
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

    /// <summary>Where it stands.</summary>
    [Id(2)] public LeaseState State { get; init; }

    /// <summary>The permits of its newest grant.</summary>
    [Id(3)] public int Permits { get; init; }

    /// <summary>What counts against the budget for it.</summary>
    [Id(4)] public int Held { get; init; }

    /// <summary>What it could use, by its figures.</summary>
    [Id(5)] public int Wanted { get; init; }

    /// <summary>Why it has less than it wants.</summary>
    [Id(6)] public LeaseWait Wait { get; init; }

    /// <summary>What is left of its lease by the coordinator's clock.</summary>
    [Id(7)] public TimeSpan Remaining { get; init; }

    /// <summary>What it counted when it last renewed.</summary>
    [Id(8)] public LeaseFigures Figures { get; init; }
}
