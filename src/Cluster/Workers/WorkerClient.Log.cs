using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Workers;

/// <summary>The log of the callers of workers: events 1200 to 1299.</summary>
internal static partial class WorkerClientLog
{
    [LoggerMessage(1200, LogLevel.Debug, "A read's silo was lost ({Failure}); the read is sent again.")]
    public static partial void SiloLost(ILogger logger, Type failure);

    [LoggerMessage(1201, LogLevel.Debug, "A read is unanswered after {Milliseconds} ms; another attempt is sent.")]
    public static partial void AskedAgain(ILogger logger, double milliseconds);

    [LoggerMessage(1202, LogLevel.Warning,
        "The answer to a write was lost ({Failure}): its outcome is unknown, and it is not sent again.")]
    public static partial void OutcomeUnknown(ILogger logger, Type failure);

    [LoggerMessage(1204, LogLevel.Warning, "A silo does not know a call: it is of another version than this process.")]
    public static partial void CallUnknown(ILogger logger);

    // The exception's own text may quote a statement's values (INV-8): its type and stack show the place.
    public static void CallFailed(ILogger logger, Exception exception) =>
        CallFailed(logger, exception.GetType(), exception.StackTrace);

    [LoggerMessage(1203, LogLevel.Error, "A call to a worker failed unexpectedly with {Failure}.\n{Stack}")]
    private static partial void CallFailed(ILogger logger, Type failure, string? stack);
}
