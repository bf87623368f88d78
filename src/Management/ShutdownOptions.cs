using Microsoft.Extensions.Options;

namespace UPool.Management;

/// <summary>How a process stops. Section <c>UPool:Shutdown</c>.</summary>
public sealed class ShutdownOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Shutdown";

    /// <summary>
    /// The longest that stopping may take, from the signal to the end: <see cref="Delay"/>, the requests that are under
    /// way, the silo, the pool. Default 25 s, below the 30 s after which Kubernetes kills; 1 s to 1 h.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>
    /// How long the process still takes new requests after <c>/health/ready</c> has turned to 503, so that what follows
    /// readiness can send them elsewhere. Default 0, for a process without a proxy before it; in Kubernetes 5 s is usual.
    /// Must be shorter than <see cref="Timeout"/>.
    /// </summary>
    public TimeSpan Delay { get; set; }
}

internal sealed class ShutdownOptionsValidator : IValidateOptions<ShutdownOptions>
{
    public ValidateOptionsResult Validate(string? name, ShutdownOptions options)
    {
        if (options.Timeout < TimeSpan.FromSeconds(1) || options.Timeout > TimeSpan.FromHours(1))
            return ValidateOptionsResult.Fail($"UPool:Shutdown:Timeout is {options.Timeout}; it must be 00:00:01 to 01:00:00.");

        return options.Delay < TimeSpan.Zero || options.Delay >= options.Timeout
            ? ValidateOptionsResult.Fail($"UPool:Shutdown:Delay is {options.Delay}; it must be 0 or more and shorter than "
                + $"UPool:Shutdown:Timeout ({options.Timeout}).")
            : ValidateOptionsResult.Success;
    }
}
