using System.Net;
using Microsoft.Extensions.Options;

namespace UPool.Management;

/// <summary>
/// Who may use the routes for operators (everything under <c>/upool/</c> and <c>/metrics</c>), and where they are.
/// Section <c>UPool:Management</c>. The health routes need no key.
/// </summary>
public sealed class ManagementOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Management";

    /// <summary>
    /// With a key every request needs it: <c>Authorization: Bearer &lt;key&gt;</c>. Printable ASCII without spaces.
    /// Default none: then only callers on this machine are let in, on a port where no proxy leads. A secret: give it by
    /// the environment or a secret file.
    /// </summary>
    public string? Key { get; set; }

    /// <summary>
    /// With a port, 1 to 65,535, these routes exist only there, and nothing else but health does. Default none: Silo,
    /// which has nothing else to serve, takes a free one and prints it; so does Api without a key, but for Development,
    /// where they stand beside the API's own, as they do with a key.
    /// </summary>
    public int? Port { get; set; }

    /// <summary>
    /// The IP address that <see cref="Port"/> is opened on. Default 127.0.0.1. One beyond loopback (0.0.0.0, a pod's
    /// address) without a <see cref="Key"/> does not start.
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
