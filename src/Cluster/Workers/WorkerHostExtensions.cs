using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Runtime.Hosting;
using UPool.Cluster.Hosting;

namespace UPool.Cluster.Workers;

/// <summary>What workers and their callers need of a silo and of a client. The hosting extension calls these; a host
/// that is put together by hand (a test cluster, say) calls them itself.</summary>
public static class WorkerHostExtensions
{
    // Beyond the longest call, so that a deadline and its grace are always over before Orleans gives up.
    private static readonly TimeSpan ResponseTimeoutMargin = TimeSpan.FromSeconds(5);

    /// <summary>Lets a silo hold workers. The pool is expected as a singleton <see cref="PooledDataSource"/>.</summary>
    public static ISiloBuilder AddWorkers(this ISiloBuilder builder)
    {
        builder.AddGrainDirectory(NoGrainDirectory.Name, static (_, _) => new NoGrainDirectory());
        builder.AddIncomingGrainCallFilter<WriteTicketFilter>();
        builder.Services.AddSingleton<RunningCalls>();
        builder.Services.AddSingleton<StopServiceClient>();
        builder.AddQuietService<StopService>();
        builder.Services.AddWorkerClients();
        builder.Services.AddOptions<SiloMessagingOptions>().Configure<IOptions<WorkerClientOptions>>(
            static (messaging, calls) => messaging.ResponseTimeout = calls.Value.MaxCallTime + ResponseTimeoutMargin);
        return builder;
    }

    /// <summary>Lets a client of a cluster call workers.</summary>
    public static IClientBuilder AddWorkers(this IClientBuilder builder)
    {
        builder.Services.AddWorkerClients();
        builder.Services.AddOptions<ClientMessagingOptions>().Configure<IOptions<WorkerClientOptions>>(
            static (messaging, calls) => messaging.ResponseTimeout = calls.Value.MaxCallTime + ResponseTimeoutMargin);
        return builder;
    }

    /// <summary>Adds a grain service whose base does not tell every change of a ring that the service does not
    /// use.</summary>
    internal static void AddQuietService<TService>(this ISiloBuilder builder)
        where TService : GrainService
    {
        builder.AddGrainService<TService>();
        builder.Services.Configure<LoggerFilterOptions>(
            static options => options.AddFilter(typeof(TService).FullName, LogLevel.Warning));
    }

    private static void AddWorkerClients(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<CallStopper>();
        services.TryAddSingleton<SharedCalls>();
        services.AddKnownKeys<ReadOptions>(ReadOptions.Section);
        services.AddOptions<ReadOptions>().BindConfiguration(ReadOptions.Section).ValidateOnStart();
        services.TryAddSingleton(typeof(WorkerClient<>));
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<WorkerClientOptions>, WorkerClientOptionsValidator>());
        services.AddKnownKeys<WorkerClientOptions>(WorkerClientOptions.Section);
        services.AddOptions<WorkerClientOptions>().BindConfiguration(WorkerClientOptions.Section).ValidateOnStart();
    }
}
