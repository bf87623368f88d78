using Microsoft.Extensions.Logging;

namespace UPool.Hosting;

// Events 1000 to 1099.
internal sealed partial class ProcessStatus
{
    [LoggerMessage(1000, LogLevel.Error, "{Problem}")]
    private partial void LogProblem(string problem);

    [LoggerMessage(1001, LogLevel.Information, "{Place}: the problem is over.")]
    private partial void LogResolved(string place);
}
