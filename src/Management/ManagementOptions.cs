using System.Net;
using Microsoft.Extensions.Options;

namespace UPool.Management;

/// <summary>
/// Access to the management routes (everything under <c>/upool/</c> and <c>/metrics</c>) and their address. Section
/// <c>UPool:Management</c>. The health routes need no key.
/// </summary>
public sealed class ManagementOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Management";

    /// <summary>
    /// The key that every management request must send: <c>Authorization: Bearer &lt;key&gt;</c>. Printable ASCII
    /// without spaces. Default none: only callers on this machine are let in, on a port that no proxy forwards to. A
    /// secret: set it by the environment or a secret file.
    /// </summary>
    public string? Key { get; set; }

    /// <summary>
    /// The port, 1 to 65,535, of these routes; it serves only them and health, and no other port serves them. Default
    /// none: Silo, which has no other routes, takes a free port and prints it. So does Api without a key, except in
    /// Development. In Development, or with a key, Api serves these routes beside its own.
    /// </summary>
    public int? Port { get; set; }

    /// <summary>
    /// The IP address of <see cref="Port"/>. Default 127.0.0.1. Any other than loopback (0.0.0.0, a pod's address)
    /// requires a <see cref="Key"/>: without one the start fails.
    /// </summary>
    public string Address { get; set; } = "127.0.0.1";

    internal IPAddress ParsedAddress => IPAddress.Parse(Address);
}

internal sealed class ManagementOptionsValidator : IValidateOptions<ManagementOptions>
{
    public ValidateOptionsResult Validate(string? name, ManagementOptions options)
    {
        var failures = new List<string>();
        if (options.Key is not null && (options.Key.Length == 0 || options.Key.Any(static c => c is <= ' ' or > '~')))
        {
            failures.Add("UPool:Management:Key is empty or holds a space or a character beyond ASCII. "
                + "Give a key, or remove the setting to let in callers on this machine only.");
        }

        if (options.Port is < 1 or > 65_535)
            failures.Add($"UPool:Management:Port is {options.Port}; it must be 1 to 65535, or absent.");

        if (!IPAddress.TryParse(options.Address, out IPAddress? address))
        {
            failures.Add("UPool:Management:Address is not an IP address. Use 127.0.0.1, 0.0.0.0 or one of this "
                + "machine's.");
        }
        else if (options.Key is null && !IPAddress.IsLoopback(address))
        {
            failures.Add("UPool:Management:Key is missing: UPool:Management:Address lies beyond loopback, "
                + "where everybody could use the management routes. Give a key, or use 127.0.0.1.");
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
