namespace UPool.Cluster.Budget;

/// <summary>
/// What one process was configured with. Every request carries it, because the ledger owns the number: while live
/// processes are configured differently, the settings that leave the least to share hold for all.
/// </summary>
[GenerateSerializer, Immutable]
[Alias("UPool.BudgetSettings")]
internal sealed record BudgetSettings
{
    /// <summary>The most server connections of the whole deployment.</summary>
    [Id(0)] public required int ServerConnections { get; init; }

    /// <summary>The most silos at one time, those of a roll-out's surge and those not yet reclaimed included.</summary>
    [Id(1)] public required int MaxSilos { get; init; }

    /// <summary>The most clients of the cluster that are no silos at one time.</summary>
    [Id(2)] public required int MaxClients { get; init; }

    /// <summary>Connections that nobody is given: for processes that are stopped inside an open (INV-2).</summary>
    [Id(3)] public required int Reserve { get; init; }

    /// <summary>The least a live silo keeps, whatever the others want.</summary>
    [Id(4)] public required int Floor { get; init; }

    /// <summary>How often a silo renews.</summary>
    [Id(5)] public required TimeSpan RenewInterval { get; init; }

    /// <summary>How long a lease holds.</summary>
    [Id(6)] public required TimeSpan LeaseDuration { get; init; }

    /// <summary>The time after a lease in which its holder winds up.</summary>
    [Id(7)] public required TimeSpan Grace { get; init; }
}
