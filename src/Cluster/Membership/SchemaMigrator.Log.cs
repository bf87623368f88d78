using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Membership;

public static partial class SchemaMigrator
{
    [LoggerMessage(2101, LogLevel.Debug, "Schema script '{Script}' applied: {Statements} statements.")]
    private static partial void LogApplied(ILogger logger, string script, int statements);

    [LoggerMessage(2102, LogLevel.Information, "The schema of database '{Database}' is up to date: {Scripts}.")]
    private static partial void LogUpToDate(ILogger logger, string database, string scripts);

    [LoggerMessage(2103, LogLevel.Warning, "A script that only a budget needs was not applied: {Problem}")]
    private static partial void LogLeftOut(ILogger logger, string problem);
}
