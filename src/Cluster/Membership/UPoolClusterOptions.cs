using System.Net;
using Microsoft.Extensions.Options;

namespace UPool.Cluster.Membership;

/// <summary>The place of this process in a cluster: <c>UPool:Cluster</c>.</summary>
public sealed class UPoolClusterOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Cluster";

    /// <summary>The name under which grains find the storage: ADO.NET in a cluster, memory in a lone silo.</summary>
    public const string StorageName = "upool";

    /// <summary><c>Localhost</c> by default: one silo in this process. Separate processes need <c>MySql</c>: membership
    /// and grain storage on the database's server. A string, so that validation can name a wrong value.</summary>
    public string Mode { get; set; } = nameof(ClusterMode.Localhost);

    /// <summary>The cluster that this process joins. Required with <c>MySql</c> and never generated, so that two
    /// deployments on one server cannot merge by accident. 1 to 150 characters.</summary>
    public string? ClusterId { get; set; }

    /// <summary>The service whose grain storage this cluster uses; outlives clusters. Required with <c>MySql</c>.
    /// 1 to 150 characters.</summary>
    public string? ServiceId { get; set; }

    /// <summary>The IP address by which other processes reach this silo. The loopback address by default.</summary>
    public string? AdvertisedAddress { get; set; }

    /// <summary>The port for other silos. A free one by default; 1 to 65535.</summary>
    public int? SiloPort { get; set; }

    /// <summary>The port for clients of the cluster. A free one by default; 0 for none, to 65535.</summary>
    public int? GatewayPort { get; set; }

    /// <summary>Whether the schema is applied before the silo joins. False by default: it needs an account that may
    /// create tables.</summary>
    public bool MigrateAtStart { get; set; }

    /// <summary>How long <c>UPool.Silo --migrate</c> waits for a database that does not answer yet, or is still being
    /// created. 60 seconds by default, 0 to 1 hour. A silo waits without limit.</summary>
    public TimeSpan MigrateTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a process that was told to stop may take to finish its requests. 30 seconds by default, 1
    /// second to 10 minutes; keep it below the time that a supervisor allows.</summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The mode; Localhost if the text is wrong, which validation refuses.</summary>
    internal ClusterMode ParsedMode => TryParseMode(out ClusterMode mode) ? mode : ClusterMode.Localhost;

    internal bool TryParseMode(out ClusterMode mode)
    {
        mode = ClusterMode.MySql;
        if (string.Equals(Mode, nameof(ClusterMode.MySql), StringComparison.OrdinalIgnoreCase)) return true;

        mode = ClusterMode.Localhost;
        return string.Equals(Mode, nameof(ClusterMode.Localhost), StringComparison.OrdinalIgnoreCase);
    }
}

/// <summary>Refuses invalid values and names their keys.</summary>
internal sealed class UPoolClusterOptionsValidator : IValidateOptions<UPoolClusterOptions>
{
    // The width of the id columns in the membership and storage tables.
    private const int MaxIdLength = 150;

    private static readonly TimeSpan MinShutdownTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxMigrateTimeout = TimeSpan.FromHours(1);
    private static readonly TimeSpan MaxShutdownTimeout = TimeSpan.FromMinutes(10);

    public ValidateOptionsResult Validate(string? name, UPoolClusterOptions options)
    {
        var problems = new List<string>();
        if (!options.TryParseMode(out ClusterMode mode))
            problems.Add($"{Key(nameof(options.Mode))} is '{options.Mode}': it must be 'Localhost' or 'MySql'.");

        if (mode == ClusterMode.MySql)
        {
            CheckId(problems, nameof(options.ClusterId), options.ClusterId);
            CheckId(problems, nameof(options.ServiceId), options.ServiceId);
        }

        if (options.AdvertisedAddress is { } address && !IPAddress.TryParse(address, out _))
            problems.Add($"{Key(nameof(options.AdvertisedAddress))} is '{address}': it must be an IP address.");
        if (options.SiloPort is < 1 or > 65535)
            problems.Add($"{Key(nameof(options.SiloPort))} is {options.SiloPort}: it must be from 1 to 65535.");
        if (options.GatewayPort is < 0 or > 65535)
        {
            problems.Add(
                $"{Key(nameof(options.GatewayPort))} is {options.GatewayPort}: it must be from 0 (none) to 65535.");
        }

        if (options.SiloPort is { } siloPort && siloPort == options.GatewayPort)
            problems.Add($"{Key(nameof(options.SiloPort))} and {nameof(options.GatewayPort)} are both {siloPort}.");
        if (options.MigrateTimeout < TimeSpan.Zero || options.MigrateTimeout > MaxMigrateTimeout)
        {
            problems.Add($"{Key(nameof(options.MigrateTimeout))} is {options.MigrateTimeout}: it must be from " +
                $"{TimeSpan.Zero} to {MaxMigrateTimeout}.");
        }

        if (options.ShutdownTimeout < MinShutdownTimeout || options.ShutdownTimeout > MaxShutdownTimeout)
        {
            problems.Add($"{Key(nameof(options.ShutdownTimeout))} is {options.ShutdownTimeout}: it must be from " +
                $"{MinShutdownTimeout} to {MaxShutdownTimeout}.");
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static void CheckId(List<string> problems, string key, string? value)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            problems.Add($"{Key(key)} is missing: with {Key("Mode")} 'MySql' it is required, so that two deployments "
                + "never merge by accident.");
        }
        else if (value.Length > MaxIdLength)
        {
            problems.Add($"{Key(key)} has {value.Length} characters: it must have at most {MaxIdLength}.");
        }
    }

    private static string Key(string key) => $"{UPoolClusterOptions.Section}:{key}";
}
