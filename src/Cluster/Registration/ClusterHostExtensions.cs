using System.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Messaging;
using Orleans.Runtime.Membership;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>
/// Makes a host a silo or a client of a cluster by <c>UPool:Cluster</c>. An application that has its own Orleans
/// cluster uses <see cref="UPoolHostExtensions.AddUPool"/> and
/// <see cref="WorkerHostExtensions.AddWorkers(ISiloBuilder)"/> instead, and keeps its clustering, ids and ports.
/// </summary>
public static class ClusterHostExtensions
{
    /// <summary>The ids of a lone silo, which shares nothing.</summary>
    internal const string LocalId = "upool-local";

    // A killed silo leaves its row behind, and one that joins must first see that row go stale: 3 x 3 s here against
    // Orleans' 3 x 30 s. The price is one small write for each silo every 3 seconds.
    private static readonly TimeSpan AliveInterval = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan TableRefreshInterval = TimeSpan.FromSeconds(10);

    // A frozen silo accepts connections and does not answer; reads must get past it within their deadline.
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2);

    /// <summary>A silo in this process, with its pool: a worker process, or co-hosted with an API.</summary>
    /// <remarks>
    /// Hosted services start together from now on (<see cref="HostOptions.ServicesStartConcurrently"/>): the silo waits
    /// for its database, and the health endpoints must be up to report that. The host's time for stopping is
    /// <c>UPool:Cluster:ShutdownTimeout</c>.
    /// </remarks>
    /// <param name="builder">The host.</param>
    /// <param name="configure">Configures the silo further.</param>
    public static IHostApplicationBuilder AddUPoolSilo(
        this IHostApplicationBuilder builder, Action<ISiloBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddUPool();
        AddOwnCluster(builder);
        builder.Services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>, LeaveNotice>();

        UPoolClusterOptions cluster = Peek(builder.Configuration);
        builder.UseOrleans(silo =>
        {
            silo.AddWorkerParts();
            silo.Services.AddSingleton<IFatalErrorHandler, FatalEnd>();
            ConfigureEndpoints(silo.Services);
            ConfigureMembership(silo.Services);
            if (cluster.ParsedMode == ClusterMode.MySql)
            {
                silo.UseAdoNetClustering(static options => options.Configure<OrleansDataSource>(
                    static (clustering, data) =>
                        (clustering.Invariant, clustering.DataSource) = (OrleansDataSource.Invariant, data)));
                silo.AddStorage();
            }
            else
            {
                silo.UseDevelopmentClustering(primarySiloEndpoint: null);
                silo.AddMemoryGrainStorage(UPoolClusterOptions.StorageName);
            }

            configure?.Invoke(silo);
        });
        return builder;
    }

    /// <summary>A client of a cluster whose silos are other processes; it has no pool.</summary>
    /// <remarks>Hosted services start together from now on, as in <see cref="AddUPoolSilo"/>.</remarks>
    /// <param name="builder">The host.</param>
    /// <param name="configure">Configures the client further.</param>
    public static IHostApplicationBuilder AddUPoolClient(
        this IHostApplicationBuilder builder, Action<IClientBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddDatabase();
        AddOwnCluster(builder);
        builder.RequireCluster();
        builder.Services.AddSingleton<ClientLifecycle>();
        builder.Services.AddSingleton<ILifecycleParticipant<IClusterClientLifecycle>>(
            static provider => provider.GetRequiredService<ClientLifecycle>());
        builder.UseOrleansClient(client =>
        {
            client.AddWorkers();
            client.Services.AddCluster(builder.Configuration, isClient: true);
            client.UseAdoNetClustering(static options => options.Configure<OrleansDataSource>(
                static (clustering, data) =>
                    (clustering.Invariant, clustering.DataSource) = (OrleansDataSource.Invariant, data)));
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

    /// <summary>Refuses to start in mode Localhost: for a process that is of no use without others.</summary>
    public static IHostApplicationBuilder RequireCluster(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddSingleton<IValidateOptions<UPoolClusterOptions>, SeparateProcessValidator>();
        return builder;
    }

    // uPool owns this cluster: its ids, and how its processes start and stop.
    private static void AddOwnCluster(IHostApplicationBuilder builder)
    {
        if (builder.Services.IsRegistered<OwnCluster>()) return;

        IServiceCollection services = builder.Services;
        services.AddSingleton<OwnCluster>();
        services.AddSingleton<IValidateOptions<DatabaseOptions>, ClusterDatabaseValidator>();
        services.AddSingleton<IValidateOptions<BudgetOptions>, ClusterBudgetValidator>();

        // Values that an application has set in code stay, unless the configuration sets others.
        services.AddOptions<ClusterOptions>().Configure<IOptions<UPoolClusterOptions>>(static (orleans, options) =>
        {
            orleans.ClusterId = options.Value.ClusterId
                ?? (orleans.ClusterId is null or ClusterOptions.DefaultClusterId ? LocalId : orleans.ClusterId);
            orleans.ServiceId = options.Value.ServiceId
                ?? (orleans.ServiceId is null or ClusterOptions.DefaultServiceId ? LocalId : orleans.ServiceId);
        });
        services.AddOptions<HostOptions>().Configure<IOptions<UPoolClusterOptions>>(static (host, options) =>
        {
            host.ServicesStartConcurrently = true;
            host.ShutdownTimeout = options.Value.ShutdownTimeout;
        });
    }

    private static void ConfigureEndpoints(IServiceCollection services) =>
        services.AddOptions<EndpointOptions>().Configure<IOptions<UPoolClusterOptions>>(static (endpoint, options) =>
        {
            UPoolClusterOptions cluster = options.Value;
            if (cluster.AdvertisedAddress is { } given) endpoint.AdvertisedIPAddress = IPAddress.Parse(given);
            IPAddress address = endpoint.AdvertisedIPAddress ??= IPAddress.Loopback;
            if (cluster.SiloPort is { } siloPort) endpoint.SiloPort = siloPort;
            else if (endpoint.SiloPort == EndpointOptions.DEFAULT_SILO_PORT)
                endpoint.SiloPort = PortFinder.Find(address, taken: cluster.GatewayPort);

            // A lone silo has no clients outside its process, and needs no port for others.
            if (cluster.GatewayPort is { } gatewayPort) endpoint.GatewayPort = gatewayPort;
            else if (endpoint.GatewayPort == EndpointOptions.DEFAULT_GATEWAY_PORT)
            {
                endpoint.GatewayPort = cluster.ParsedMode == ClusterMode.Localhost
                    ? 0
                    : PortFinder.Find(address, taken: endpoint.SiloPort);
            }
        });

    private static void ConfigureMembership(IServiceCollection services)
    {
        services.Configure<ClusterMembershipOptions>(static options =>
        {
            options.IAmAliveTablePublishTimeout = AliveInterval;
            options.ProbeTimeout = ProbeTimeout;
            options.TableRefreshTimeout = TableRefreshInterval;

            // Orleans counts how long a silo has been joining from the start of its process: the first silo that joins
            // would declare dead one that waited five minutes for its database. A joining silo has no work yet, and
            // gives up on its own if it cannot join.
            options.EvictWhenMaxJoinAttemptTimeExceeded = false;
        });
        services.Configure<ConnectionOptions>(static options => options.OpenConnectionTimeout = ConnectTimeout);
    }

    // The providers must be chosen before the container exists. The validation of the same section refuses a wrong
    // value at the start.
    private static UPoolClusterOptions Peek(IConfiguration configuration)
    {
        string? mode = configuration[$"{UPoolClusterOptions.Section}:{nameof(UPoolClusterOptions.Mode)}"];
        return new UPoolClusterOptions { Mode = mode ?? nameof(ClusterMode.Localhost) };
    }
}
