using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>Marks a host whose cluster is configured by <c>UPool:Cluster</c>, not by the application.</summary>
internal sealed class OwnCluster;

/// <summary>Refuses mode Localhost. A lone silo is in no membership table: no other process could reach it, and it
/// would wait for calls forever.</summary>
internal sealed class SeparateProcessValidator : IValidateOptions<UPoolClusterOptions>
{
    public ValidateOptionsResult Validate(string? name, UPoolClusterOptions options) =>
        options.TryParseMode(out ClusterMode mode) && mode == ClusterMode.Localhost
            ? ValidateOptionsResult.Fail(
                $"{UPoolClusterOptions.Section}:Mode is 'Localhost': silos and clients in processes of their own need "
                + $"'MySql', with {UPoolClusterOptions.Section}:ClusterId and ServiceId.")
            : ValidateOptionsResult.Success;
}

/// <summary>Refuses mode MySql with the embedded database, which has no membership table.</summary>
internal sealed class ClusterDatabaseValidator(IOptions<UPoolClusterOptions> cluster)
    : IValidateOptions<DatabaseOptions>
{
    public ValidateOptionsResult Validate(string? name, DatabaseOptions options) =>
        options.IsEmbedded && cluster.Value.ParsedMode == ClusterMode.MySql
            ? ValidateOptionsResult.Fail(
                $"{UPoolClusterOptions.Section}:Mode is 'MySql', but {DatabaseOptions.ConnectionStringKey} is missing.")
            : ValidateOptionsResult.Success;
}

/// <summary>Refuses a budget for a lone silo, which shares nothing.</summary>
internal sealed class ClusterBudgetValidator(IOptions<UPoolClusterOptions> cluster) : IValidateOptions<BudgetOptions>
{
    public ValidateOptionsResult Validate(string? name, BudgetOptions options) =>
        options.IsOn && cluster.Value.ParsedMode == ClusterMode.Localhost
            ? ValidateOptionsResult.Fail(
                $"{BudgetOptions.Section}:{nameof(options.ServerConnections)} is set with "
                + $"{UPoolClusterOptions.Section}:Mode 'Localhost': a lone silo shares nothing, and its "
                + "UPool:Pool:MaxConnections bounds it. Set the mode 'MySql', or remove the budget.")
            : ValidateOptionsResult.Success;
}
