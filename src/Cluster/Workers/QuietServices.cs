using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Workers;

internal static class QuietServices
{
    /// <summary>Adds a grain service without its base class's log lines about a ring that the service does not
    /// use.</summary>
    public static void AddQuietService<TService>(this ISiloBuilder builder)
        where TService : GrainService
    {
        builder.AddGrainService<TService>();
        builder.Services.Configure<LoggerFilterOptions>(
            static options => options.AddFilter(typeof(TService).FullName, LogLevel.Warning));
    }
}
