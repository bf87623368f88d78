using Microsoft.Extensions.Options;

namespace UPool.Api.Http;

/// <summary>The limits of the HTTP front. Section <c>UPool:Http</c>.</summary>
public sealed class HttpOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Http";

    /// <summary>
    /// The most rows in one reply; a truncated reply has <c>next</c>, and a <c>limit</c> above this is refused. Default
    /// 10,000 (a reply is made in memory: about 10 MB with the longest names); 1 to 1,000,000.
    /// </summary>
    public int MaxRows { get; set; } = 10_000;

    /// <summary>
    /// Replies with status 200 to every request, as the original did, for clients that read only <c>code</c>. Bodies
    /// and headers stay the same; health and management keep their statuses, because probes read only those. Default
    /// false.
    /// </summary>
    public bool AlwaysReply200 { get; set; }

    /// <summary>
    /// The deadline of a request, from its arrival to its reply; it also bounds the statement. A body that has not
    /// arrived by then is answered with 408. Default 5 s; 1 ms to 10 min.
    /// </summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The value of <c>Retry-After</c> in a 503, in whole seconds. Default 1 s, about the time in which the pool
    /// recovers from a burst or a restart of the database; 1 s to 1 h.
    /// </summary>
    public TimeSpan RetryAfter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The most bytes of a body; a larger one is answered with 413. Default 4,194,304 (4 MiB): a batch of 1,000 names
    /// of 255 characters fits even with every character escaped; 1,024 to 67,108,864.
    /// </summary>
    public int MaxBodyBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>
    /// The most requests in flight; others are rejected at once as <c>queue-full</c>. Health and management are not
    /// counted. Default 1,024: ten connections serve about as many short statements in 100 ms, so a longer queue only
    /// makes every reply late; 1 to 1,000,000.
    /// </summary>
    public int MaxRequestsInFlight { get; set; } = 1_024;

    /// <summary>
    /// The most client connections, including idle ones; others are closed without a reply. Default 4,096: one for
    /// each request in flight and three idle ones beside it; it bounds memory and file handles. 1 to 1,000,000.
    /// </summary>
    public int MaxClientConnections { get; set; } = 4_096;

    /// <summary>
    /// The lifetime of an idle client connection. Default 130 s, longer than the 60 s of common proxies, so that the
    /// proxy closes first and no request is lost on a closing connection; 1 s to 1 h.
    /// </summary>
    public TimeSpan KeepAliveTimeout { get; set; } = TimeSpan.FromSeconds(130);

    /// <summary>
    /// The time in which a client must send the head of a request. Default 10 s, against clients that send slowly on
    /// purpose; 1 s to 10 min.
    /// </summary>
    public TimeSpan HeadersTimeout { get; set; } = TimeSpan.FromSeconds(10);
}

internal sealed class HttpOptionsValidator : IValidateOptions<HttpOptions>
{
    private const string Section = HttpOptions.Section;

    public ValidateOptionsResult Validate(string? name, HttpOptions options)
    {
        TimeSpan oneSecond = TimeSpan.FromSeconds(1);
        TimeSpan tenMinutes = TimeSpan.FromMinutes(10);
        TimeSpan oneHour = TimeSpan.FromHours(1);
        var failures = new List<string>();
        CheckNumber(nameof(options.MaxRows), options.MaxRows, 1, 1_000_000);
        CheckNumber(nameof(options.MaxBodyBytes), options.MaxBodyBytes, 1_024, 64 * 1024 * 1024);
        CheckNumber(nameof(options.MaxRequestsInFlight), options.MaxRequestsInFlight, 1, 1_000_000);
        CheckNumber(nameof(options.MaxClientConnections), options.MaxClientConnections, 1, 1_000_000);
        CheckTime(nameof(options.RequestTimeout), options.RequestTimeout, TimeSpan.FromMilliseconds(1), tenMinutes);
        CheckTime(nameof(options.RetryAfter), options.RetryAfter, oneSecond, oneHour);
        CheckTime(nameof(options.KeepAliveTimeout), options.KeepAliveTimeout, oneSecond, oneHour);
        CheckTime(nameof(options.HeadersTimeout), options.HeadersTimeout, oneSecond, tenMinutes);
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void CheckNumber(string key, int value, int min, int max)
        {
            if (value < min || value > max) failures.Add($"{Section}:{key} is {value}; it must be {min} to {max}.");
        }

        void CheckTime(string key, TimeSpan value, TimeSpan min, TimeSpan max)
        {
            if (value < min || value > max) failures.Add($"{Section}:{key} is {value}; it must be {min} to {max}.");
        }
    }
}
