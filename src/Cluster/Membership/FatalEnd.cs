using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Membership;

/// <summary>
/// Ends a silo that cannot continue, with one line and its own exit code (<see cref="ExitCode"/>). Orleans would print
/// stack traces and abort the process, which looks like a crash.
/// </summary>
/// <remarks>The other silos have taken over this silo's work, so it must end at once: it waits only for the lines of
/// the log.</remarks>
internal sealed partial class FatalEnd(ILoggerFactory loggers, ILogger<FatalEnd> logger) : IFatalErrorHandler
{
    /// <summary>The exit code of a silo that cannot continue: the other silos have declared it dead, or its part of the
    /// cluster has failed.</summary>
    public const int ExitCode = 3;

    // Logged lines are written within milliseconds; a terminal that does not read must not keep the silo alive.
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(3);

    private const int MaxReasonLength = 1_000;

    private int _isEnding;

    public bool IsUnexpected(Exception exception) => exception is not ThreadAbortException;

    public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null)
    {
        if (Interlocked.Exchange(ref _isEnding, 1) != 0) return;

        using var bound = new Timer(
            static _ => Environment.FailFast("The silo could not end in time."), null, LongestEnd,
            Timeout.InfiniteTimeSpan);
        if (exception is not null) LogFailed(exception.GetType(), exception.StackTrace);

        // Flushes the log, so that the line below is the last.
        loggers.Dispose();
        Console.Error.WriteLine(Describe(context, exception));
        Environment.Exit(ExitCode);
    }

    /// <summary>The line that is printed.</summary>
    public static string Describe(string? context, Exception? exception)
    {
        string reason = (context ?? "unknown").ReplaceLineEndings(" ");
        if (reason.Length > MaxReasonLength) reason = reason[..MaxReasonLength] + "…";
        return exception is null
            ? $"uPool ends, because the other silos have declared this one dead. Orleans says: {reason}"
            : $"uPool ends, because its part of the cluster has failed with {exception.GetType().Name} in {reason}.";
    }

    [LoggerMessage(2401, LogLevel.Critical, "This silo's part of the cluster has failed with {Failure}.\n{Stack}")]
    private partial void LogFailed(Type failure, string? stack);
}
