using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace UPool.Management;

/// <summary>How a process stops. Section <c>UPool:Shutdown</c>.</summary>
public sealed class ShutdownOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Shutdown";

    /// <summary>
    /// How long the process still takes new requests after <c>/health/ready</c> has turned to 503, so that a proxy has
    /// time to send them elsewhere. Default 0, for a process without a proxy; 5 s is usual in Kubernetes. Must be
    /// shorter than the host's shutdown timeout, <c>UPool:Cluster:ShutdownTimeout</c> in a silo or client.
    /// </summary>
    public TimeSpan Delay { get; set; }
}

internal sealed class ShutdownOptionsValidator(IOptions<HostOptions> host)
    : IValidateOptions<ShutdownOptions>
{
    public ValidateOptionsResult Validate(string? name, ShutdownOptions options)
    {
        TimeSpan timeout = host.Value.ShutdownTimeout;
        return options.Delay < TimeSpan.Zero || options.Delay >= timeout
            ? ValidateOptionsResult.Fail($"UPool:Shutdown:Delay is {options.Delay}; it must be 0 or more and shorter "
                + $"than the host's ShutdownTimeout (UPool:Cluster:ShutdownTimeout in a silo or client): {timeout}.")
            : ValidateOptionsResult.Success;
    }
}
