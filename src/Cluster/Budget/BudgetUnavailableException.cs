namespace UPool.Cluster.Budget;

/// <summary>The coordinator could not write its ledger, and so answered nobody; ask again.</summary>
/// <param name="message">Why, in one plain line.</param>
[GenerateSerializer]
[Alias("UPool.BudgetUnavailableException")]
internal sealed class BudgetUnavailableException(string message) : Exception(message);
