using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace UPool.Cluster.Hosting;

/// <summary>
/// Refuses settings of the design that this version does not keep yet. Whoever sets a budget relies on it: ignoring it
/// in silence would be the very outage it is meant to prevent.
/// </summary>
internal sealed class PlannedSettingsValidator(IConfiguration configuration) : IValidateOptions<UPoolClusterOptions>
{
    private const string Budget = "UPool:Budget";
    private const string SharedReads = "UPool:Reads:Shared";

    public ValidateOptionsResult Validate(string? name, UPoolClusterOptions options)
    {
        if (configuration.GetSection(Budget).GetChildren().Any())
        {
            return ValidateOptionsResult.Fail(
                $"{Budget} is not kept by this version: no limit counts all processes together. Remove it, and keep "
                + "the sum of all pools and control connections below the server's max_connections.");
        }

        // Off is what this version does anyway.
        if (configuration[SharedReads] is { } shared
            && !string.Equals(shared, "false", StringComparison.OrdinalIgnoreCase))
        {
            return ValidateOptionsResult.Fail(
                $"{SharedReads} is not available in this version: every read asks the database. Remove it, or set it "
                + "to false.");
        }

        return ValidateOptionsResult.Success;
    }
}
