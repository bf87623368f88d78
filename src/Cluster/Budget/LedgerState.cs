namespace UPool.Cluster.Budget;

/// <summary>
/// What the coordinator keeps in grain storage: who may hold how much, and nothing that a clock counts. Never changed
/// in place: a batch of renewals makes the next one, which is written before anybody is answered.
/// </summary>
/// <remarks>A coordinator that takes over counts every recorded lease anew from the moment it has read this: no lease
/// can outlast that, because each was counted by its holder from before it sent its request.</remarks>
[GenerateSerializer, Immutable]
[Alias("UPool.LedgerState")]
internal sealed record LedgerState
{
    /// <summary>The form of this record; a coordinator does not touch one that is newer than it knows.</summary>
    public const int CurrentFormat = 1;

    /// <summary>The most processes of all kinds that are kept; a bound for the size of one write. Far above any
    /// <see cref="BudgetSettings.MaxSilos"/> that a server could serve.</summary>
    public const int MaxRecords = 10_000;

    /// <summary>The form of this record; 0 when nothing was ever written.</summary>
    [Id(0)] public int Format { get; init; }

    /// <summary>Counts the writes, so that two successive ones are never alike.</summary>
    [Id(1)] public long Revision { get; init; }

    /// <summary>The activation that wrote it.</summary>
    [Id(2)] public string Writer { get; init; } = "";

    /// <summary>Which life of the server it was written in: whatever tells two starts apart. A server that restarted
    /// may have lost its last writes.</summary>
    [Id(3)] public string ServerStart { get; init; } = "";

    /// <summary>The settings that hold; null before the first request.</summary>
    [Id(4)] public BudgetSettings? Settings { get; init; }

    /// <summary>Every incarnation that has a lease, or had one whose sessions the server may still have.</summary>
    [Id(5)] public LeaseRecord[] Records { get; init; } = [];

    /// <summary>The server's own name for itself; empty when it was not known. After a switch-over the state is read
    /// from another server, which may lack the last writes.</summary>
    [Id(6)] public string ServerName { get; init; } = "";
}

/// <summary>One incarnation in the ledger.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.LeaseRecord")]
internal sealed record LeaseRecord
{
    /// <summary>One life of one process.</summary>
    [Id(0)] public required string Incarnation { get; init; }

    /// <summary>Silo or client.</summary>
    [Id(1)] public LeaseRole Role { get; init; }

    /// <summary>The newest request that was seen.</summary>
    [Id(2)] public long Sequence { get; init; }

    /// <summary>The newest grant.</summary>
    [Id(3)] public long Grant { get; init; }

    /// <summary>The permits of the newest grant.</summary>
    [Id(4)] public int Permits { get; init; }

    /// <summary>What counts against the budget: <see cref="Permits"/>, or more until a shrink is
    /// acknowledged.</summary>
    [Id(5)] public int Held { get; init; }

    /// <summary>The longest lease it was given, for whoever takes over.</summary>
    [Id(6)] public TimeSpan Duration { get; init; }

    /// <summary>The longest grace it was given.</summary>
    [Id(7)] public TimeSpan Grace { get; init; }

    /// <summary>It has left and holds nothing; its control connections may still be there.</summary>
    [Id(8)] public bool HasLeft { get; init; }
}
