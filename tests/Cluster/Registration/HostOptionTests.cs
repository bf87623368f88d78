using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using UPool.Cluster.Registration;
using UPool.Hosting;
using UPool.Sqlite;

namespace UPool.Cluster.Tests.Registration;

/// <summary>Option errors at the start, and their messages.</summary>
public sealed class HostOptionTests
{
    private const string Database = "Server=127.0.0.1;Port=1;User ID=u;Password=hidden;Database=d";

    [Fact]
    public async Task Start_ProductionWithoutDatabase_NamesTheKey() =>
        Assert.Contains("ConnectionStrings:UPool is missing", await RefusalAsync([]), StringComparison.Ordinal);

    [Fact]
    public async Task Start_EmbeddedInProduction_IsRefused() =>
        Assert.Contains(
            "UPool:Embedded is true in Production",
            await RefusalAsync([("UPool:Embedded", "true")]),
            StringComparison.Ordinal);

    [Fact]
    public async Task Start_DevelopmentWithoutEmbeddedOrDatabase_NamesTheKey() =>
        Assert.Contains(
            "ConnectionStrings:UPool is missing",
            await RefusalAsync([("UPool:Embedded", "false")], Environments.Development),
            StringComparison.Ordinal);

    [Fact]
    public async Task Start_EmbeddedWithoutItsPackage_NamesTheCall() =>
        Assert.Contains(
            "call AddUPoolSqlite() of the package UPool.Sqlite",
            await RefusalAsync([("UPool:Embedded", "true")], Environments.Development),
            StringComparison.Ordinal);

    [Theory]
    [InlineData("UPool:Cluster:Mode", "Kubernetes", "UPool:Cluster:Mode is 'Kubernetes'")]
    [InlineData("UPool:Cluster:AdvertisedAddress", "here", "UPool:Cluster:AdvertisedAddress is 'here'")]
    [InlineData("UPool:Cluster:SiloPort", "0", "UPool:Cluster:SiloPort is 0")]
    [InlineData("UPool:Cluster:SiloPort", "many", "UPool:Cluster:SiloPort")]
    [InlineData("UPool:Cluster:GatewayPort", "65536", "UPool:Cluster:GatewayPort is 65536")]
    [InlineData("UPool:Cluster:ShutdownTimeout", "0", "UPool:Cluster:ShutdownTimeout is 00:00:00")]
    [InlineData("UPool:Cluster:Modus", "MySql", "UPool:Cluster:Modus is not a setting")]
    [InlineData("UPool:Calls:HedgeAfter", "00:00:00.001", "UPool:Calls:HedgeAfter is 00:00:00.0010000")]
    [InlineData("UPool:Calls:MaxAskings", "11", "UPool:Calls:MaxAskings is 11")]
    [InlineData("UPool:Calls:MaxCallTime", "2:00:00", "UPool:Calls:MaxCallTime is 02:00:00")]
    [InlineData("UPool:Calls:HedgeAfterwards", "1", "UPool:Calls:HedgeAfterwards is not a setting")]
    [InlineData("UPool:Pool:MaxConnections", "0", "UPool:Pool:MaxConnections is 0")]
    [InlineData("UPool:Pool:MaxConections", "5", "UPool:Pool:MaxConections is not a setting")]
    [InlineData("UPool:Embedded", "maybe", "UPool:Embedded")]
    public async Task Start_ValueThatCannotBe_NamesTheKey(string key, string value, string problem)
    {
        string refusal = await RefusalAsync([("ConnectionStrings:UPool", Database), (key, value)]);

        Assert.Contains(problem, refusal, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", refusal, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal);
    }

    [Theory]
    [InlineData("ClusterId")]
    [InlineData("ServiceId")]
    public async Task Start_ClusterWithoutItsIds_NamesTheKey(string key)
    {
        string other = key == "ClusterId" ? "ServiceId" : "ClusterId";

        string refusal = await RefusalAsync(
            [("ConnectionStrings:UPool", Database), ("UPool:Cluster:Mode", "mysql"), ($"UPool:Cluster:{other}", "x")]);

        Assert.Contains($"UPool:Cluster:{key} is missing", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ClusterOnTheEmbeddedDatabase_IsRefused()
    {
        string refusal = await RefusalAsync(
            [
                ("UPool:Cluster:Mode", "MySql"),
                ("UPool:Cluster:ClusterId", "c"),
                ("UPool:Cluster:ServiceId", "s"),
            ],
            Environments.Development);

        Assert.Contains("ConnectionStrings:UPool is missing", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ClientOfALoneSilo_IsRefused()
    {
        string refusal = await RefusalAsync(
            [("ConnectionStrings:UPool", Database)], add: static builder => builder.AddUPoolClient());

        Assert.Contains("UPool:Cluster:Mode is 'Localhost'", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_EmbeddedInDevelopment_IsHealthyAndEndsInOrder()
    {
        string folder = Directory.CreateTempSubdirectory("upool-host-").FullName;
        bool isSetUp = false;
        HostApplicationBuilder builder = Builder([], Environments.Development, folder);
        builder.AddUPoolSqlite();
        builder.AddUPoolSilo();
        builder.Services.AddSingleton(new EmbeddedSetup(async (pool, token) =>
        {
            RentResult rent = await pool.RentAsync(cancellationToken: token);
            await using PooledConnection connection = rent.GetConnectionOrThrow();
            isSetUp = true;
        }));
        using IHost host = builder.Build();
        var status = host.Services.GetRequiredService<IProcessStatus>();
        Assert.False(status.IsStarted);

        await host.StartAsync(TestContext.Current.CancellationToken);
        Assert.True(isSetUp);
        Assert.True(status is { IsStarted: true, IsStopping: false, Health.IsHealthy: true });
        Assert.True(File.Exists(Path.Combine(folder, ".upool", "upool.db")));

        var pool = host.Services.GetRequiredService<PooledDataSource>();
        await host.StopAsync(TestContext.Current.CancellationToken);
        Assert.True(status.IsStopping);
        Assert.Equal(RefusalReason.Draining, (await pool.RentAsync()).Refusal);
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<string> RefusalAsync(
        (string Key, string Value)[] settings,
        string environment = "Production",
        Action<HostApplicationBuilder>? add = null)
    {
        HostApplicationBuilder builder = Builder(settings, environment, Path.GetTempPath());
        if (add is null) builder.AddUPoolSilo();
        else add(builder);
        Exception exception = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            // The host's own options depend on ours, so some errors come here already.
            using IHost host = builder.Build();
            await host.StartAsync(TestContext.Current.CancellationToken);
        });
        return UPoolProgram.Describe(exception);
    }

    private static HostApplicationBuilder Builder((string Key, string Value)[] settings, string environment,
        string root)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings
        {
            DisableDefaults = true,
            EnvironmentName = environment,
            ContentRootPath = root,
        });
        builder.Configuration.AddInMemoryCollection(
            settings.Select(static setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)));
        return builder;
    }
}
