using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Registration;

public static partial class MigrationHostExtensions
{
    [LoggerMessage(2104, LogLevel.Warning, "The migration waits for the database, {Seconds} s at most: {Problem}")]
    private static partial void LogWaiting(ILogger logger, string problem, int seconds);
}
