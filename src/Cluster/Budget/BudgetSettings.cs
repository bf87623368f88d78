namespace UPool.Cluster.Budget;

/// <summary>
/// The budget configuration of one process. Every request carries it, because the ledger owns the number: while live
/// processes are configured differently, the settings that leave the least to share apply to all.
/// </summary>
[GenerateSerializer, Immutable]
[Alias("UPool.BudgetSettings")]
internal sealed record BudgetSettings
{
    /// <summary>The most server connections of the whole deployment.</summary>
    [Id(0)] public required int ServerConnections { get; init; }

    /// <summary>The most silos at a time, including a roll-out's surge and silos not reclaimed yet.</summary>
    [Id(1)] public required int MaxSilos { get; init; }

    /// <summary>The most clients of the cluster that are not silos, at a time.</summary>
    [Id(2)] public required int MaxClients { get; init; }

    /// <summary>Connections that are never granted: they cover processes stopped inside an open (INV-2).</summary>
    [Id(3)] public required int Reserve { get; init; }

    /// <summary>The permits that a live silo keeps, whatever the others want.</summary>
    [Id(4)] public required int Floor { get; init; }

    /// <summary>How often a silo renews.</summary>
    [Id(5)] public required TimeSpan RenewInterval { get; init; }

    /// <summary>How long a lease lasts.</summary>
    [Id(6)] public required TimeSpan LeaseDuration { get; init; }

    /// <summary>The time after a lease in which its holder winds up.</summary>
    [Id(7)] public required TimeSpan Grace { get; init; }
}
