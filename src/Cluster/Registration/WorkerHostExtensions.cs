using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Runtime.Hosting;
using UPool.Cluster.Membership;
using UPool.Cluster.Status;
using UPool.Cluster.Workers;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>Adds workers to a cluster, of uPool or of the application.</summary>
public static class WorkerHostExtensions
{
    // On top of the longest call, so that a deadline and its grace are always over before Orleans gives up.
    private static readonly TimeSpan ResponseTimeoutMargin = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Lets a silo hold workers. Their pool is that of <see cref="UPoolHostExtensions.AddUPool"/>, called before or
    /// after: it is opened before the silo is active, drained after its grains are deactivated, and with
    /// <c>UPool:Budget:ServerConnections</c> takes part in the budget of the cluster. Without AddUPool, it is a
    /// singleton <see cref="PooledDataSource"/> that the application registers, opens and drains.
    /// </summary>
    public static ISiloBuilder AddWorkers(this ISiloBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddWorkerParts();

        // The budget's ledger is kept on the server whose connections it counts, whatever storage the application has.
        if (ClusterServices.HasBudget(builder.Configuration)) builder.AddStorage();
        return builder;
    }

    /// <summary>Lets a client of a cluster call workers.</summary>
    public static IClientBuilder AddWorkers(this IClientBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddWorkerClients();
        builder.Services.AddOptions<ClientMessagingOptions>().Configure<IOptions<WorkerClientOptions>>(
            static (messaging, calls) => messaging.ResponseTimeout = calls.Value.MaxCallTime + ResponseTimeoutMargin);
        return builder;
    }

    internal static void AddWorkerParts(this ISiloBuilder builder)
    {
        IServiceCollection services = builder.Services;
        if (services.IsRegistered<RunningCalls>()) return;

        builder.AddGrainDirectory(NoGrainDirectory.Name, static (_, _) => new NoGrainDirectory());
        builder.AddIncomingGrainCallFilter<WriteTicketFilter>();
        services.AddSingleton<RunningCalls>();
        services.AddSingleton<StopServiceClient>();
        builder.AddQuietService<StopService>();
        services.AddWorkerClients();
        services.AddOptions<SiloMessagingOptions>().Configure<IOptions<WorkerClientOptions>>(
            static (messaging, calls) => messaging.ResponseTimeout = calls.Value.MaxCallTime + ResponseTimeoutMargin);

        services.AddCluster(builder.Configuration, isClient: false);
        builder.AddPoolStatus();
        services.AddSingleton<PoolLifecycle>();
        services.AddSingleton<IPoolOwner>(static provider => provider.GetRequiredService<PoolLifecycle>());
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(
            static provider => provider.GetRequiredService<PoolLifecycle>());
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>, StartGate>();
        services.AddHostedService<TableWatch>();
    }

    /// <summary>Grain storage over the control connections.</summary>
    internal static void AddStorage(this ISiloBuilder builder) => builder.AddAdoNetGrainStorage(
        UPoolClusterOptions.StorageName,
        static options => options.Configure<OrleansDataSource>(static (storage, database) =>
        {
            storage.Invariant = OrleansDataSource.Invariant;
            storage.DataSource = database;
        }));

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
