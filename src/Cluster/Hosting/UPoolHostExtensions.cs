using System.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Messaging;
using Orleans.Runtime.Membership;
using UPool.Cluster.Budget;
using UPool.Cluster.Status;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Hosting;

/// <summary>Puts a pool, a silo or a client of a cluster into a host.</summary>
public static class UPoolHostExtensions
{
    /// <summary>The name under which grains find the storage: ADO.NET in a cluster, memory in a lone silo.</summary>
    public const string StorageName = "upool";

    // The ids of a lone silo, which shares nothing with anybody.
    private const string LocalId = "upool-local";

    // A silo that was killed leaves its row behind, and one that joins must first see that row go stale: 3 x 3 s here
    // against Orleans' 3 x 30 s. The price is one small write for each silo every 3 seconds.
    private static readonly TimeSpan AliveInterval = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan TableRefreshInterval = TimeSpan.FromSeconds(10);

    // A frozen silo accepts connections and does not answer; reads must get past it within their deadline.
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2);

    /// <summary>The options, the pool (a singleton <see cref="PooledDataSource"/>) and the control
    /// connections.</summary>
    public static IHostApplicationBuilder AddUPool(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        if (IsRegistered<PooledDataSource>(builder)) return builder;

        AddShared(builder);
        IServiceCollection services = builder.Services;
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<PoolOptions>, PoolOptionsValidator>());
        services.AddKnownKeys<PoolOptions>(PoolOptionsValidator.Section);
        services.AddOptions<PoolOptions>().BindConfiguration(PoolOptionsValidator.Section).ValidateOnStart();
        services.AddSingleton(PoolFactory.Create);
        return builder;
    }

    /// <summary>A silo in this process, with its pool: a worker process, or co-hosted with an API.</summary>
    /// <remarks>
    /// Hosted services start together from now on (<see cref="HostOptions.ServicesStartConcurrently"/>): the silo waits
    /// for its database, and the health endpoints must be there to say so.
    /// </remarks>
    /// <param name="builder">The host.</param>
    /// <param name="configure">What else the silo needs.</param>
    public static IHostApplicationBuilder AddUPoolSilo(
        this IHostApplicationBuilder builder, Action<ISiloBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddUPool();
        IServiceCollection services = builder.Services;
        services.AddSingleton<PoolLifecycle>();
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(
            static provider => provider.GetRequiredService<PoolLifecycle>());
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>, StartGate>();
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>, LeaveNotice>();
        services.AddHostedService<TableWatch>();

        UPoolClusterOptions cluster = Peek(builder.Configuration);
        builder.UseOrleans(silo =>
        {
            silo.AddWorkers();
            silo.AddPoolStatus();
            silo.Services.AddSingleton<IFatalErrorHandler, FatalEnd>();
            ConfigureEndpoints(silo.Services);
            ConfigureMembership(silo.Services);
            if (cluster.ParsedMode == ClusterMode.MySql)
            {
                silo.UseAdoNetClustering(options => options.Configure<ControlDatabase>(static (clustering, control) =>
                {
                    clustering.Invariant = OrleansDataSource.Invariant;
                    clustering.DataSource = control.ForOrleans;
                }));
                silo.AddAdoNetGrainStorage(StorageName, options => options.Configure<ControlDatabase>(
                    static (storage, control) =>
                    {
                        storage.Invariant = OrleansDataSource.Invariant;
                        storage.DataSource = control.ForOrleans;
                    }));
            }
            else
            {
                silo.UseDevelopmentClustering(primarySiloEndpoint: null);
                silo.AddMemoryGrainStorage(StorageName);
            }

            configure?.Invoke(silo);
        });
        return builder;
    }

    /// <summary>A client of a cluster whose silos are other processes; it has no pool.</summary>
    /// <remarks>Hosted services start together from now on, as in <see cref="AddUPoolSilo"/>.</remarks>
    /// <param name="builder">The host.</param>
    /// <param name="configure">What else the client needs.</param>
    public static IHostApplicationBuilder AddUPoolClient(
        this IHostApplicationBuilder builder, Action<IClientBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        AddShared(builder);
        builder.RequireCluster();
        builder.Services.AddSingleton<ClientLifecycle>();
        builder.Services.AddSingleton<ILifecycleParticipant<IClusterClientLifecycle>>(
            static provider => provider.GetRequiredService<ClientLifecycle>());
        builder.UseOrleansClient(client =>
        {
            client.AddWorkers();
            client.UseAdoNetClustering(options => options.Configure<ControlDatabase>(static (clustering, control) =>
            {
                clustering.Invariant = OrleansDataSource.Invariant;
                clustering.DataSource = control.ForOrleans;
            }));
            client.Services.AddSingleton<IClientConnectionRetryFilter>(
                static provider => provider.GetRequiredService<ClientLifecycle>());
            client.Services.Configure<GatewayOptions>(
                static options => options.GatewayListRefreshPeriod = GatewayList.RefreshInterval);
            client.Services.AddSingleton<AdoNetGatewayListProvider>();
            client.Services.AddSingleton<IGatewayListProvider, GatewayList>();
            client.Services.Configure<ConnectionOptions>(
                static options => options.OpenConnectionTimeout = ConnectTimeout);
            configure?.Invoke(client);
        });
        return builder;
    }

    /// <summary>Refuses to start in the mode Localhost: for a process that is of no use without others.</summary>
    public static IHostApplicationBuilder RequireCluster(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddSingleton<IValidateOptions<UPoolClusterOptions>, SeparateProcessValidator>();
        return builder;
    }

    private static void AddShared(IHostApplicationBuilder builder)
    {
        if (IsRegistered<ProcessStatus>(builder)) return;

        IServiceCollection services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<ProcessStatus>();
        services.AddSingleton<ISiloStatus>(static provider => provider.GetRequiredService<ProcessStatus>());
        services.AddSingleton<ControlDatabase>();
        services.AddHostedService<CredentialWatch>();
        AddBudget(builder);
        services.AddSingleton(static provider => new ClusterPoolReader(
            provider.GetRequiredService<IGrainFactory>(),
            provider.GetRequiredService<IOptions<BudgetOptions>>(),
            provider.GetRequiredService<DeploymentIdentity>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ClusterPoolReader>>(),
            provider.GetService<PooledDataSource>()));

        services.AddSingleton<IValidateOptions<UPoolClusterOptions>, UPoolClusterOptionsValidator>();
        services.AddKnownKeys<UPoolClusterOptions>(UPoolClusterOptions.Section);
        services.AddOptions<UPoolClusterOptions>().BindConfiguration(UPoolClusterOptions.Section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<DatabaseOptions>, DatabaseOptionsValidator>();
        services.AddOptions<DatabaseOptions>()
            .Configure<IConfiguration, IHostEnvironment>(DatabaseOptions.Read).ValidateOnStart();

        services.AddOptions<ClusterOptions>().Configure<IOptions<UPoolClusterOptions>>(static (orleans, options) =>
        {
            orleans.ClusterId = options.Value.ClusterId ?? LocalId;
            orleans.ServiceId = options.Value.ServiceId ?? LocalId;
        });
        services.AddOptions<HostOptions>().Configure<IOptions<UPoolClusterOptions>>(static (host, options) =>
        {
            host.ServicesStartConcurrently = true;
            host.ShutdownTimeout = options.Value.ShutdownTimeout;
        });
    }

    private static void AddBudget(IHostApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        services.AddSingleton<IValidateOptions<BudgetOptions>, BudgetOptionsValidator>();
        services.AddKnownKeys<BudgetOptions>(BudgetOptions.Section);
        services.AddOptions<BudgetOptions>().BindConfiguration(BudgetOptions.Section).ValidateOnStart();
        services.AddSingleton<LeaseHealth>();
        services.AddSingleton<BudgetTelemetry>();
        services.AddSingleton(static provider =>
        {
            ClusterOptions cluster = provider.GetRequiredService<IOptions<ClusterOptions>>().Value;
            return new DeploymentIdentity(cluster.ClusterId, cluster.ServiceId);
        });

        // Known before the container is made, as whoever has no budget has no agent. A value that cannot be is refused
        // at the start.
        string? number = builder.Configuration[$"{BudgetOptions.Section}:{nameof(BudgetOptions.ServerConnections)}"];
        if (!string.IsNullOrWhiteSpace(number)) services.AddSingleton<BudgetAgent>();
    }

    private static void ConfigureEndpoints(IServiceCollection services) =>
        services.AddOptions<EndpointOptions>().Configure<IOptions<UPoolClusterOptions>>(static (endpoint, options) =>
        {
            UPoolClusterOptions cluster = options.Value;
            IPAddress address = IPAddress.Parse(cluster.AdvertisedAddress ?? "127.0.0.1");
            endpoint.AdvertisedIPAddress = address;
            endpoint.SiloPort = cluster.SiloPort ?? PortFinder.Find(address, taken: cluster.GatewayPort);

            // A lone silo has no clients but its own process, and needs no port for others.
            endpoint.GatewayPort = cluster.GatewayPort ??
                (cluster.ParsedMode == ClusterMode.Localhost ? 0 : PortFinder.Find(address, taken: endpoint.SiloPort));
        });

    private static void ConfigureMembership(IServiceCollection services)
    {
        services.Configure<ClusterMembershipOptions>(static options =>
        {
            options.IAmAliveTablePublishTimeout = AliveInterval;
            options.ProbeTimeout = ProbeTimeout;
            options.TableRefreshTimeout = TableRefreshInterval;

            // Orleans counts how long a silo has been joining from the start of its process. One that waited five
            // minutes for its database would be declared dead by the first that joins. A silo that joins has no work
            // yet, and gives up by itself when it cannot.
            options.EvictWhenMaxJoinAttemptTimeExceeded = false;
        });
        services.Configure<ConnectionOptions>(static options => options.OpenConnectionTimeout = ConnectTimeout);
    }

    // The providers must be chosen before the container exists. Whatever is wrong in here is refused at the start, by
    // the validation of the same section, in words.
    private static UPoolClusterOptions Peek(IConfiguration configuration)
    {
        string? mode = configuration[$"{UPoolClusterOptions.Section}:{nameof(UPoolClusterOptions.Mode)}"];
        return new UPoolClusterOptions { Mode = mode ?? nameof(ClusterMode.Localhost) };
    }

    private static bool IsRegistered<T>(IHostApplicationBuilder builder) =>
        builder.Services.Any(static service => service.ServiceType == typeof(T));
}

/// <summary>A lone silo is in nobody's table: no other process could reach it, and it would wait for calls for
/// ever.</summary>
internal sealed class SeparateProcessValidator : IValidateOptions<UPoolClusterOptions>
{
    public ValidateOptionsResult Validate(string? name, UPoolClusterOptions options) =>
        options.TryParseMode(out ClusterMode mode) && mode == ClusterMode.Localhost
            ? ValidateOptionsResult.Fail(
                $"{UPoolClusterOptions.Section}:Mode is 'Localhost': silos and clients in processes of their own need "
                + $"'MySql', with {UPoolClusterOptions.Section}:ClusterId and ServiceId.")
            : ValidateOptionsResult.Success;
}
