using Microsoft.Extensions.Logging;

namespace UPool.Hosting;

/// <content>Log messages; they never hold a connection string (INV-8).</content>
internal sealed partial class CredentialWatch
{
    [LoggerMessage(2201, LogLevel.Information,
        "{Key} has changed: new connections use it as soon as the server has accepted it")]
    private static partial void LogChanges(ILogger logger, string key);

    [LoggerMessage(2202, LogLevel.Warning, "{Key} has changed and is ignored. {Problem}")]
    private static partial void LogIgnored(ILogger logger, string key, string problem);
}
