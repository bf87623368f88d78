using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using UPool.Testing;

namespace UPool.Hosting.Tests;

/// <summary>A pool in a host without any other part of uPool.</summary>
public sealed class PoolAloneTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AddUPool_HostHasStarted_AConnectionIsOpen()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        var look = new Look();
        HostApplicationBuilder builder = Builder(database.ConnectionString);
        builder.Services.AddSingleton<IHostedService>(look);
        builder.AddUPool();
        using IHost app = builder.Build();
        look.Pool = app.Services.GetRequiredService<PooledDataSource>();

        await app.StartAsync(Token).WaitAsync(Bound, Token);

        Assert.NotEqual(0, look.Idle);
        Assert.True(app.Services.GetRequiredService<IProcessStatus>() is { IsStarted: true, Health.IsHealthy: true });
        Assert.True((await look.Pool.RentAsync(cancellationToken: Token)).IsRented);
        await app.StopAsync(Token).WaitAsync(Bound, Token);
        Assert.Equal(RefusalReason.Draining, (await look.Pool.RentAsync()).Refusal);
    }

    [Fact]
    public async Task AddUPool_DatabaseIsAway_StartsAndHealthSaysSo()
    {
        HostApplicationBuilder builder =
            Builder($"Server=127.0.0.1;Port={FreePort.Next()};User ID=x;Password=hidden;Database=x");
        builder.AddUPool();
        using IHost app = builder.Build();

        await app.StartAsync(Token).WaitAsync(Bound, Token);

        PoolHealth health = app.Services.GetRequiredService<IProcessStatus>().Health;
        Assert.False(health.IsHealthy);
        Assert.DoesNotContain("hidden", health.Problem, StringComparison.Ordinal);
        await app.StopAsync(Token).WaitAsync(Bound, Token);
    }

    [Fact]
    public async Task AddUPool_AnyHost_KeepsTheHostsOptions()
    {
        HostApplicationBuilder builder = Builder("Server=127.0.0.1;Port=1;User ID=u;Password=hidden;Database=d");
        builder.AddUPool();
        using IHost app = builder.Build();

        HostOptions host = app.Services.GetRequiredService<IOptions<HostOptions>>().Value;

        Assert.False(host.ServicesStartConcurrently);
        Assert.Equal(new HostOptions().ShutdownTimeout, host.ShutdownTimeout);
    }

    [Fact]
    public async Task AddUPool_WithABudget_IsRefusedInWords()
    {
        HostApplicationBuilder builder = Builder(
            "Server=127.0.0.1;Port=1;User ID=u;Password=hidden;Database=d", ("UPool:Budget:ServerConnections", "50"));
        builder.AddUPool();
        using IHost app = builder.Build();

        Exception refusal = await Assert.ThrowsAnyAsync<Exception>(() => app.StartAsync(Token).WaitAsync(Bound, Token));

        Assert.Contains(
            "UPool:Budget:ServerConnections is set, but nothing in this process",
            UPoolProgram.Describe(refusal), StringComparison.Ordinal);
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

    // Starts before the pool's own services, as a web server may if all services start concurrently.
    private sealed class Look : IHostedService
    {
        public PooledDataSource? Pool { get; set; }

        public int Idle { get; private set; }

        public Task StartAsync(CancellationToken cancellationToken)
        {
            Idle = Pool!.Snapshot().Idle;
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
