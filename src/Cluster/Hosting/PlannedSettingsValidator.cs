using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace UPool.Cluster.Hosting;

/// <summary>
/// Refuses settings of the design that this version does not keep yet, rather than ignore them in silence.
/// </summary>
internal sealed class PlannedSettingsValidator(IConfiguration configuration) : IValidateOptions<UPoolClusterOptions>
{
    private const string SharedReads = "UPool:Reads:Shared";

    public ValidateOptionsResult Validate(string? name, UPoolClusterOptions options)
    {
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
