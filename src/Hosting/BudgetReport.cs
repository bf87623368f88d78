namespace UPool.Hosting;

/// <summary>The budget of the deployment at one moment, as its coordinator knows it.</summary>
/// <param name="ServerConnections">The most server connections of the whole deployment.</param>
/// <param name="Shared">What of them the pools share; the rest is for control connections, clients, the migration and
/// the reserve.</param>
/// <param name="Held">What counts as held, shrinks that are not acknowledged and dead silos included.</param>
/// <param name="Unregistered">Sessions of the deployment's accounts that nobody registered: they count as
/// used.</param>
/// <param name="IsLearning">Whether the coordinator has just taken over, and lets nobody grow.</param>
/// <param name="IsMismatched">Whether processes are configured differently: the least number holds.</param>
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
/// <param name="Incarnation">One life of the process, as <c>upool_session</c> has it.</param>
/// <param name="Role"><c>silo</c> or <c>client</c>.</param>
/// <param name="State"><c>live</c>, <c>shrinking</c>, <c>expired</c>, <c>reclaiming</c>, <c>leaving</c> or
/// <c>unheard</c>.</param>
/// <param name="Permits">The permits of its newest grant.</param>
/// <param name="Held">What counts against the budget for it.</param>
/// <param name="Wanted">What it could use.</param>
/// <param name="LeaseLeft">What is left of its lease by the coordinator's clock.</param>
/// <param name="Waits">Why it has less than it wants; null when it does not.</param>
internal sealed record LeaseReport(
    string Incarnation,
    string Role,
    string State,
    int Permits,
    int Held,
    int Wanted,
    TimeSpan LeaseLeft,
    string? Waits);
