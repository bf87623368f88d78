namespace UPool.Cluster.Budget;

/// <summary>
/// The coordinator's state in grain storage: how much each incarnation may hold, and nothing that a clock counts. Never
/// changed in place: a batch of renewals makes the next state, which is written before any request is answered.
/// </summary>
/// <remarks>A coordinator that takes over counts every recorded lease anew from the time of its read. No lease can
/// outlast that, because its holder counted it from before it sent its request.</remarks>
[GenerateSerializer, Immutable]
[Alias("UPool.LedgerState")]
internal sealed record LedgerState
{
    /// <summary>The newest format of this record; a coordinator refuses a state of a newer one.</summary>
    public const int CurrentFormat = 1;

    /// <summary>The most processes of all kinds on record; bounds the size of one write. Far above any
    /// <see cref="BudgetSettings.MaxSilos"/> that a server could serve.</summary>
    public const int MaxRecords = 10_000;

    /// <summary>The format of this record; 0 if nothing was ever written.</summary>
    [Id(0)] public int Format { get; init; }

    /// <summary>Counts the writes, so that two successive states always differ.</summary>
    [Id(1)] public long Revision { get; init; }

    /// <summary>The activation that wrote the state.</summary>
    [Id(2)] public string Writer { get; init; } = "";

    /// <summary>The start of the server it was written on, by a value that tells any two starts apart. A server that
    /// restarted may have lost its last writes.</summary>
    [Id(3)] public string ServerStart { get; init; } = "";

    /// <summary>The settings in force; null before the first request.</summary>
    [Id(4)] public BudgetSettings? Settings { get; init; }

    /// <summary>Every incarnation that has a lease, or had one whose sessions the server may still have.</summary>
    [Id(5)] public LeaseRecord[] Records { get; init; } = [];

    /// <summary>The server's own name; empty if unknown. After a switch-over the state is read from another server,
    /// which may lack the last writes.</summary>
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

    /// <summary>The newest request seen.</summary>
    [Id(2)] public long Sequence { get; init; }

    /// <summary>The newest grant.</summary>
    [Id(3)] public long Grant { get; init; }

    /// <summary>The permits of the newest grant.</summary>
    [Id(4)] public int Permits { get; init; }

    /// <summary>The connections that count against the budget: <see cref="Permits"/>, or more until a shrink is
    /// acknowledged.</summary>
    [Id(5)] public int Held { get; init; }

    /// <summary>The longest lease it was given, for the next coordinator.</summary>
    [Id(6)] public TimeSpan Duration { get; init; }

    /// <summary>The longest grace it was given.</summary>
    [Id(7)] public TimeSpan Grace { get; init; }

    /// <summary>It has left and holds nothing; its control connections may still exist.</summary>
    [Id(8)] public bool HasLeft { get; init; }
}
