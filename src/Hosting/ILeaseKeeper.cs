using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Takes part in the deployment's budget for this process.</summary>
internal interface ILeaseKeeper
{
    /// <summary>The incarnation under which this process's sessions register; null without a budget.</summary>
    string? Incarnation { get; }
}

/// <summary>Rejects a budget in a process without a lease keeper: its pool would exceed the budget.</summary>
internal sealed class LeaseKeeperValidator(IConfiguration configuration, ILeaseKeeper? keeper = null)
    : IValidateOptions<DatabaseOptions>
{
    private const string Key = "UPool:Budget:ServerConnections";

    public ValidateOptionsResult Validate(string? name, DatabaseOptions options) =>
        keeper is null && !string.IsNullOrWhiteSpace(configuration[Key])
            ? ValidateOptionsResult.Fail(
                $"{Key} is set, but nothing in this process takes part in a budget: call AddWorkers() in UseOrleans, "
                + "or AddUPoolSilo(), of the package UPool.Cluster, or remove the budget.")
            : ValidateOptionsResult.Success;
}
