using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Workers;

// Events 1100 to 1199. No message holds a parameter's value or a driver's text (INV-8). Events that come by the
// thousand a second under overload, or while the database is away, are Debug: the pool reports those states when they
// change.
public abstract partial class WorkerGrain
{
    [LoggerMessage(1100, LogLevel.Debug, "The pool refused: {Reason}.")]
    private static partial void LogRefused(ILogger logger, RefusalReason reason);

    [LoggerMessage(1101, LogLevel.Warning, "The database failed the statement with error {Code}.")]
    private static partial void LogStatementFailed(ILogger logger, string code);

    [LoggerMessage(1102, LogLevel.Debug, "A statement did not end by its deadline and was cut off.")]
    private static partial void LogDeadlineExceeded(ILogger logger);

    [LoggerMessage(1103, LogLevel.Debug, "The connection to the database was lost: {Code}.")]
    private static partial void LogUnavailable(ILogger logger, string code);

    [LoggerMessage(1104, LogLevel.Warning,
        "The outcome of a write is unknown ({Kind}): it was cut off, or it failed with part of it stored.")]
    private static partial void LogOutcomeUnknown(ILogger logger, FailureKind kind);

    [LoggerMessage(1105, LogLevel.Warning, "A write arrived whose ticket was used before: it was not run again.")]
    private static partial void LogSentTwice(ILogger logger);

    [LoggerMessage(1106, LogLevel.Error, "A worker failed unexpectedly with {Failure}.\n{Stack}")]
    private static partial void LogUnexpected(ILogger logger, Type failure, string? stack);

    [LoggerMessage(1107, LogLevel.Error,
        "A write left a transaction open, and what was done in it is rolled back. End it, or use "
        + "WriteInTransactionAsync.")]
    private static partial void LogLeftOpen(ILogger logger);
}
