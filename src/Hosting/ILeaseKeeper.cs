using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Takes part in the budget of a deployment for this process.</summary>
internal interface ILeaseKeeper
{
    /// <summary>This life of this process, as its sessions are to register themselves; null without a budget.</summary>
    string? Incarnation { get; }
}

/// <summary>Refuses a budget of which nothing in this process takes part: its pool would break it.</summary>
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
