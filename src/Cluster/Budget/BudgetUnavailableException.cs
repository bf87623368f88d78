namespace UPool.Cluster.Budget;

/// <summary>The coordinator could not write its ledger and answered no request; ask again.</summary>
/// <param name="message">The reason, in one line.</param>
[GenerateSerializer]
[Alias("UPool.BudgetUnavailableException")]
internal sealed class BudgetUnavailableException(string message) : Exception(message);
