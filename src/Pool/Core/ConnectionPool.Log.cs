using Microsoft.Extensions.Logging;

namespace UPool.Core;

/// <content>The pool's log messages. Never a credential, a connection string or a parameter's value (INV-8).</content>
internal sealed partial class ConnectionPool
{
    [LoggerMessage(1001, LogLevel.Warning, "Pool '{Pool}': cannot open a connection; it keeps trying. {Problem}")]
    private partial void LogOpenFailed(string pool, string problem);

    [LoggerMessage(1002, LogLevel.Information, "Pool '{Pool}': {Target} answers again")]
    private partial void LogRecovered(string pool, string target);

    [LoggerMessage(1003, LogLevel.Information,
        "Pool '{Pool}': a connection could not be recovered and is replaced ({Type}). {Problem}")]
    private partial void LogNotCleaned(string pool, string type, string problem);

    [LoggerMessage(1004, LogLevel.Information, "Pool '{Pool}': closing a connection failed ({Type}). {Problem}")]
    private partial void LogCloseFailed(string pool, string type, string problem);

    [LoggerMessage(1005, LogLevel.Warning,
        "Pool '{Pool}': a connection has been rented for {Seconds:0.0} s by {RentedBy}; return it sooner, or raise "
        + "HeldTooLongTimeout")]
    private partial void LogHeldTooLong(string pool, double seconds, string rentedBy);

    [LoggerMessage(1006, LogLevel.Warning,
        "Pool '{Pool}': connections are still rented at the end of the drain timeout and are severed ({Counts})")]
    private partial void LogDrainSevers(string pool, string counts);

    [LoggerMessage(1007, LogLevel.Warning,
        "Pool '{Pool}': closed without the server's confirmation that every session is gone ({Counts})")]
    private partial void LogNotDrained(string pool, string counts);

    [LoggerMessage(1008, LogLevel.Warning,
        "Pool '{Pool}': {Rents} rents are cut off, because the lease of their permits has ended ({Counts})")]
    private partial void LogCutOff(string pool, int rents, string counts);

    [LoggerMessage(1009, LogLevel.Warning,
        "Pool '{Pool}': an open was lost on its way and keeps its permit, while the server answers others. {Problem}")]
    private partial void LogOpenUnanswered(string pool, string problem);

    [LoggerMessage(1010, LogLevel.Warning, "Pool '{Pool}': {Problem}")]
    private partial void LogChangeFailed(string pool, string problem);

    [LoggerMessage(1011, LogLevel.Information,
        "Pool '{Pool}': the changed credentials work; connections opened before close when they are returned")]
    private partial void LogChanged(string pool);

    [LoggerMessage(1099, LogLevel.Critical, "bug: background work of pool '{Pool}' failed ({Counts})")]
    private partial void LogBug(string pool, string counts, Exception exception);
}
