using Microsoft.Extensions.Options;

namespace UPool.Cluster.Workers;

/// <summary>How calls to workers are bounded and repeated: <c>UPool:Calls</c>.</summary>
public sealed class WorkerClientOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Calls";

    /// <summary>
    /// How long a read may stay unanswered before another attempt is sent, to another silo if there is one; the first
    /// attempt stays. 1 second by default, 50 milliseconds to 1 minute. Orleans never breaks a call in flight to a silo
    /// that crashed, so such a read takes this much longer. A value shorter than an application's slow reads doubles
    /// them.
    /// </summary>
    public TimeSpan HedgeAfter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How many attempts of one read may be under way together. 3 by default, 1 (no further attempt while one is
    /// unanswered) to 10. Each is a query on the database, and three misses in a row need two bad silos in most
    /// clusters.
    /// </summary>
    public int MaxAskings { get; set; } = 3;

    /// <summary>
    /// How often one read is sent again after an attempt failed because its silo was lost. 20 by default, 0 to 1,000.
    /// With pauses that grow to half a second this outlasts a silo's restart; it only limits reads with distant
    /// deadlines.
    /// </summary>
    public int MaxRetries { get; set; } = 20;

    /// <summary>
    /// The longest a call may take; an earlier deadline of its own counts instead. 1 minute by default, 1 second to 1
    /// hour. Orleans' own response timeout is set beyond it, so that the deadline always comes first.
    /// </summary>
    public TimeSpan MaxCallTime { get; set; } = TimeSpan.FromMinutes(1);
}

/// <summary>Refuses invalid values and names their keys.</summary>
internal sealed class WorkerClientOptionsValidator : IValidateOptions<WorkerClientOptions>
{
    private static readonly TimeSpan MinHedgeAfter = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MaxHedgeAfter = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan MinCallTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxCallTime = TimeSpan.FromHours(1);

    public ValidateOptionsResult Validate(string? name, WorkerClientOptions options)
    {
        var problems = new List<string>();
        Check(problems, nameof(options.HedgeAfter), options.HedgeAfter, MinHedgeAfter, MaxHedgeAfter);
        Check(problems, nameof(options.MaxAskings), options.MaxAskings, 1, 10);
        Check(problems, nameof(options.MaxRetries), options.MaxRetries, 0, 1000);
        Check(problems, nameof(options.MaxCallTime), options.MaxCallTime, MinCallTime, MaxCallTime);
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static void Check<T>(List<string> problems, string key, T value, T least, T most)
        where T : IComparable<T>
    {
        if (value.CompareTo(least) < 0 || value.CompareTo(most) > 0)
            problems.Add($"{WorkerClientOptions.Section}:{key} is {value}: it must be from {least} to {most}.");
    }
}
