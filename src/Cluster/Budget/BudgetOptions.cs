using System.Globalization;
using Microsoft.Extensions.Options;

namespace UPool.Cluster.Budget;

/// <summary>The connection budget of the whole deployment: <c>UPool:Budget</c>. Off unless
/// <see cref="ServerConnections"/> is set.</summary>
public sealed class BudgetOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Budget";

    /// <summary>The value of <see cref="ServerConnections"/> that derives it from the server's limit.</summary>
    public const string Auto = "auto";

    /// <summary>
    /// The most sessions that all processes of the deployment together may have on the server (INV-2): a number from 1
    /// to 100,000, or <c>auto</c> for <see cref="AutoShare"/> of the server's <c>max_connections</c>, which is followed
    /// when it changes. Off by default: every silo then uses its own <c>UPool:Pool:MaxConnections</c>.
    /// </summary>
    public string? ServerConnections { get; set; }

    /// <summary>The share of the server's <c>max_connections</c> that belongs to this deployment when
    /// <see cref="ServerConnections"/> is <c>auto</c>. Default 0.8; 0.01 to 1. The rest is for administrators and
    /// others.</summary>
    public double AutoShare { get; set; } = 0.8;

    /// <summary>The most silos at a time, including the surge of a roll-out; further ones do not start. Default 8; 1 to
    /// 10,000.</summary>
    public int MaxSilos { get; set; } = 8;

    /// <summary>The most processes that are clients of the cluster (an Api without a silo) at a time, including the
    /// surge of a roll-out; further ones do not start. Default 4; 0 to 10,000.</summary>
    public int MaxClients { get; set; } = 4;

    /// <summary>
    /// Sessions kept back for an operator, and for processes stopped inside an open after its last check. Default 2; 0
    /// to 1,000.
    /// </summary>
    public int Reserve { get; set; } = 2;

    /// <summary>The permits that every silo keeps, even if it needs none. Default 1; 1 to 1,000.</summary>
    public int Floor { get; set; } = 1;

    /// <summary>The silo's weight when silos want more permits than there are: one of weight 2 gets twice as much as
    /// one of weight 1. Default 1; 1 to 100.</summary>
    public int Weight { get; set; } = 1;

    /// <summary>How often a silo renews its lease. Default 1 s; 100 ms to 1 min.</summary>
    public TimeSpan RenewInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long a lease lasts without a renewal, and so how long the coordinator may be unavailable. Default 10 s; 1 s
    /// to 10 min, and at least three times <see cref="RenewInterval"/>.
    /// </summary>
    public TimeSpan LeaseDuration { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The time after a lease in which its holder ends running work; used connections are cut off at its end.
    /// Default 5 s; 100 ms to 10 min.</summary>
    public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether there is a budget.</summary>
    internal bool IsOn => !string.IsNullOrWhiteSpace(ServerConnections);

    /// <summary>Whether the number is derived from the server's limit.</summary>
    internal bool IsAuto => string.Equals(ServerConnections?.Trim(), Auto, StringComparison.OrdinalIgnoreCase);

    /// <summary>The number on a server with this <c>max_connections</c>.</summary>
    internal int NumberOn(int maxConnections) => Number ?? Math.Max(1, (int)(maxConnections * AutoShare));

    /// <summary>The settings that every request carries, with the current number.</summary>
    internal BudgetSettings ToSettings(int serverConnections) => new()
    {
        ServerConnections = serverConnections,
        MaxSilos = MaxSilos,
        MaxClients = MaxClients,
        Reserve = Reserve,
        Floor = Floor,
        RenewInterval = RenewInterval,
        LeaseDuration = LeaseDuration,
        Grace = Grace,
    };

    /// <summary>The configured number; null if it is <c>auto</c>, off or not a number.</summary>
    internal int? Number =>
        int.TryParse(ServerConnections, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
            : null;
}

/// <summary>Refuses invalid values and names their keys.</summary>
internal sealed class BudgetOptionsValidator : IValidateOptions<BudgetOptions>
{
    private const int MaxServerConnections = 100_000;
    private const int RenewalsInLease = 3;

    private static readonly TimeSpan MaxTime = TimeSpan.FromMinutes(10);

    public ValidateOptionsResult Validate(string? name, BudgetOptions options)
    {
        List<string> problems = [];
        if (options.IsOn && !options.IsAuto && options.Number is not (>= 1 and <= MaxServerConnections))
        {
            problems.Add($"{Key(nameof(options.ServerConnections))} is '{options.ServerConnections}': it must be "
                + $"from 1 to {MaxServerConnections}, or '{BudgetOptions.Auto}'.");
        }

        if (options.AutoShare is not (>= 0.01 and <= 1))
        {
            problems.Add(FormattableString.Invariant(
                $"{Key(nameof(options.AutoShare))} is {options.AutoShare}: it must be from 0.01 to 1."));
        }

        Range(nameof(options.MaxSilos), options.MaxSilos, 1, 10_000);
        Range(nameof(options.MaxClients), options.MaxClients, 0, 10_000);
        Range(nameof(options.Reserve), options.Reserve, 0, 1_000);
        Range(nameof(options.Floor), options.Floor, 1, 1_000);
        Range(nameof(options.Weight), options.Weight, 1, 100);
        Time(nameof(options.RenewInterval), options.RenewInterval, TimeSpan.FromMilliseconds(100),
            TimeSpan.FromMinutes(1));
        Time(nameof(options.LeaseDuration), options.LeaseDuration, TimeSpan.FromSeconds(1), MaxTime);
        Time(nameof(options.Grace), options.Grace, TimeSpan.FromMilliseconds(100), MaxTime);
        if (options.LeaseDuration < RenewalsInLease * options.RenewInterval)
        {
            problems.Add($"{Key(nameof(options.LeaseDuration))} is {options.LeaseDuration}: it must be at least "
                + $"{RenewalsInLease} times {nameof(options.RenewInterval)} ({options.RenewInterval}), or one lost "
                + "renewal would end a lease.");
        }

        // With "auto" the number must first be read from the server; the process reports the sum then.
        if (problems.Count == 0 && options.Number is { } number)
        {
            var sum = BudgetSum.Of(options.ToSettings(number));
            if (!sum.Fits) problems.Add(sum.ToString());
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);

        void Range(string key, int value, int min, int max)
        {
            if (value < min || value > max) problems.Add($"{Key(key)} is {value}: it must be from {min} to {max}.");
        }

        void Time(string key, TimeSpan value, TimeSpan min, TimeSpan max)
        {
            if (value < min || value > max) problems.Add($"{Key(key)} is {value}: it must be from {min} to {max}.");
        }
    }

    private static string Key(string key) => $"{BudgetOptions.Section}:{key}";
}
