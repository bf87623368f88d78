using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Membership;

// Events 2301 to 2399.
internal sealed partial class TableWatch
{
    [LoggerMessage(2301, LogLevel.Warning, "{Limit}")]
    private partial void LogLimit(string limit);
}
