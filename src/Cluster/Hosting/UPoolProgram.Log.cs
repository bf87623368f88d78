using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Hosting;

public static partial class UPoolProgram
{
    [LoggerMessage(2104, LogLevel.Warning, "The migration waits for the database, {Seconds} s at most: {Problem}")]
    private static partial void LogWaiting(ILogger logger, string problem, int seconds);
}
