namespace UPool.Hosting;

/// <summary>The budget of the deployment at one moment, as its coordinator knows it.</summary>
/// <param name="ServerConnections">The most server connections of the whole deployment.</param>
/// <param name="Shared">The part that the pools share; the rest is for control connections, clients, the migration and
/// the reserve.</param>
/// <param name="Held">Permits that count as held, including unacknowledged shrinks and dead silos.</param>
/// <param name="Unregistered">Unregistered sessions of the deployment's accounts; they count as used.</param>
/// <param name="IsLearning">Whether the coordinator has just taken over and lets no lease grow.</param>
/// <param name="IsMismatched">Whether processes are configured differently; the lowest number applies.</param>
/// <param name="Leases">Every process that the ledger knows.</param>
internal sealed record BudgetReport(
    int ServerConnections,
    int Shared,
    int Held,
    int Unregistered,
    bool IsLearning,
    bool IsMismatched,
    IReadOnlyList<LeaseReport> Leases);

/// <summary>One process in the ledger.</summary>
/// <param name="Incarnation">One life of the process, as in <c>upool_session</c>.</param>
/// <param name="Role"><c>silo</c> or <c>client</c>.</param>
/// <param name="State"><c>live</c>, <c>shrinking</c>, <c>expired</c>, <c>reclaiming</c>, <c>leaving</c> or
/// <c>unheard</c>.</param>
/// <param name="Permits">The permits of its newest grant.</param>
/// <param name="Held">The permits that count against the budget for it.</param>
/// <param name="Wanted">The permits that it could use.</param>
/// <param name="LeaseLeft">The time left of its lease by the coordinator's clock.</param>
/// <param name="Waits">Why it has fewer permits than it wants; null if it has enough.</param>
internal sealed record LeaseReport(
    string Incarnation,
    string Role,
    string State,
    int Permits,
    int Held,
    int Wanted,
    TimeSpan LeaseLeft,
    string? Waits);
