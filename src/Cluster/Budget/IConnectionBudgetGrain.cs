namespace UPool.Cluster.Budget;

/// <summary>The coordinator of a deployment's budget, which keeps the ledger. One for each deployment, found by
/// <see cref="DeploymentIdentity.CoordinatorKey"/>.</summary>
[Alias("UPool.IConnectionBudgetGrain")]
internal interface IConnectionBudgetGrain : IGrainWithStringKey
{
    /// <summary>Grants the first lease or renews it. Answers only after the ledger has been written.</summary>
    [Alias("Renew"), ResponseTimeout("00:00:10")]
    Task<LeaseReply> Renew(LeaseRequest request);

    /// <summary>The ledger at this moment.</summary>
    [Alias("View"), ResponseTimeout("00:00:02")]
    Task<BudgetView> View();
}
