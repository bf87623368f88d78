using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using UPool.Cluster.Registration;
using UPool.Cluster.Tests.Workers;
using UPool.Cluster.Workers;
using UPool.Hosting;
using UPool.Testing;

namespace UPool.Cluster.Tests.Registration;

/// <summary>An application with its own Orleans cluster, ids and ports that hosts our workers.</summary>
public sealed class ForeignAppTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AddUPool_AppWithACluster_KeepsItsIdsPortsAndHost(bool poolFirst)
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        (int silo, int gateway) = Ports();
        using IHost app = App(database.ConnectionString, silo, gateway, poolFirst).Build();

        AssertKept(app, silo, gateway);
        HostOptions host = app.Services.GetRequiredService<IOptions<HostOptions>>().Value;
        Assert.False(host.ServicesStartConcurrently);
        Assert.Equal(new HostOptions().ShutdownTimeout, host.ShutdownTimeout);
        SiloMessagingOptions messaging = app.Services.GetRequiredService<IOptions<SiloMessagingOptions>>().Value;
        Assert.True(messaging.ResponseTimeout >= new SiloMessagingOptions().ResponseTimeout);
    }

    [Fact]
    public async Task AddUPoolSilo_AppHasSetIdsAndPorts_KeepsThem()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        (int siloPort, int gateway) = Ports();
        HostApplicationBuilder builder = Builder(database.ConnectionString);
        builder.Services.Configure<ClusterOptions>(Shop);
        builder.Services.Configure<EndpointOptions>(
            endpoint => (endpoint.SiloPort, endpoint.GatewayPort) = (siloPort, gateway));
        builder.AddUPoolSilo();
        using IHost app = builder.Build();

        AssertKept(app, siloPort, gateway);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AddWorkers_AppWithACluster_WorkersAnswerAndThePoolIsDrainedAfterThem(bool poolFirst)
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        (int silo, int gateway) = Ports();
        using IHost app = App(database.ConnectionString, silo, gateway, poolFirst).Build();
        await app.StartAsync(Token).WaitAsync(Bound, Token);
        var pool = app.Services.GetRequiredService<PooledDataSource>();
        Assert.NotEqual(0, pool.Snapshot().Opened);

        Reply<long> reply = await AskAsync(app);

        Assert.Equal((ReplyStatus.Ok, 42L), (reply.Status, reply.Value));
        Assert.True(app.Services.GetRequiredService<IProcessStatus>().IsStarted);
        await app.StopAsync(Token).WaitAsync(Bound, Token);
        Assert.Equal(RefusalReason.Draining, (await pool.RentAsync()).Refusal);
    }

    [Fact]
    public async Task AddWorkers_AppWithAClusterAndABudget_WorksWithALease()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        (int silo, int gateway) = Ports();
        HostApplicationBuilder builder = App(
            database.ConnectionString, silo, gateway, poolFirst: true,
            ("UPool:Budget:ServerConnections", "100"), ("UPool:Cluster:MigrateAtStart", "true"));
        using IHost app = builder.Build();
        await app.StartAsync(Token).WaitAsync(Bound, Token);

        Reply<long> reply = await AskAsync(app);

        Assert.True(reply is { Status: ReplyStatus.Ok, Value: 42 }, $"{reply.Status} {reply.Refusal}: {reply.Detail}");
        Assert.NotNull(app.Services.GetRequiredService<PooledDataSource>().Lease);
        await app.StopAsync(Token).WaitAsync(Bound, Token);
    }

    private static Task<Reply<long>> AskAsync(IHost app) =>
        app.Services.GetRequiredService<WorkerClient<ISqlGrain>>().ReadAsync(
            static (grain, due, token) => grain.Read("SELECT 42", due, token), Deadline.After(Bound), Token);

    private static void AssertKept(IHost app, int silo, int gateway)
    {
        ClusterOptions cluster = app.Services.GetRequiredService<IOptions<ClusterOptions>>().Value;
        EndpointOptions endpoint = app.Services.GetRequiredService<IOptions<EndpointOptions>>().Value;
        Assert.Equal(("shop", "shop-prod"), (cluster.ClusterId, cluster.ServiceId));
        Assert.Equal((silo, gateway), (endpoint.SiloPort, endpoint.GatewayPort));
    }

    private static (int Silo, int Gateway) Ports() => (FreePort.Next(), FreePort.Next());

    private static void Shop(ClusterOptions cluster) => (cluster.ClusterId, cluster.ServiceId) = ("shop", "shop-prod");

    private static HostApplicationBuilder App(
        string connectionString, int siloPort, int gateway, bool poolFirst,
        params (string Key, string Value)[] settings)
    {
        HostApplicationBuilder builder = Builder(connectionString, settings);
        if (poolFirst) builder.AddUPool();
        builder.UseOrleans(silo =>
        {
            silo.UseLocalhostClustering(siloPort, gateway, serviceId: "shop-prod", clusterId: "shop");
            silo.AddWorkers();
        });
        if (!poolFirst) builder.AddUPool();
        return builder;
    }

    private static HostApplicationBuilder Builder(
        string connectionString, params (string Key, string Value)[] settings)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings
        {
            DisableDefaults = true,
            EnvironmentName = Environments.Production,
            ContentRootPath = Path.GetTempPath(),
        });
        builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create<string, string?>("ConnectionStrings:UPool", connectionString),
            .. settings.Select(static setting => KeyValuePair.Create<string, string?>(setting.Key, setting.Value)),
        ]);
        return builder;
    }
}
