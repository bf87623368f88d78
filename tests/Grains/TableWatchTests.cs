using System.Collections.Concurrent;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MySqlConnector;
using UPool.Cluster.Registration;
using UPool.Hosting;
using UPool.Testing;

namespace UPool.Grains.Tests;

/// <summary>The report at a process's start about a users' table that another application created.</summary>
public sealed class TableWatchTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Start_TableCannotBeServed_SaysSoInOneLineUntilItCan()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await ExecuteAsync(database, "CREATE TABLE tb1 (id VARCHAR(20) NOT NULL PRIMARY KEY, name VARCHAR(20))");
        var lines = new Lines();
        using IHost host = Silo(database.ConnectionString, lines);
        var status = host.Services.GetRequiredService<IProcessStatus>();
        await host.StartAsync(TestContext.Current.CancellationToken).WaitAsync(Bound);
        const string Problem = "Column tb1.id is VARCHAR(20): users cannot be read, for an id is a whole number. "
            + "Change it: ALTER TABLE tb1 MODIFY id BIGINT NOT NULL AUTO_INCREMENT.";

        await UntilAsync(() => status.Health.Problem is not null, lines);
        Assert.Equal(Problem, status.Health.Problem);
        Assert.Single(lines.All, static line => line == Problem);

        await ExecuteAsync(database, "ALTER TABLE tb1 MODIFY id BIGINT NOT NULL AUTO_INCREMENT");
        await UntilAsync(() => status.Health.IsHealthy, lines);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Start_TableIsNotTransactional_SaysSoOnceAndIsWell()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await ExecuteAsync(database,
            "CREATE TABLE tb1 (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) NOT NULL) ENGINE = MyISAM");
        var lines = new Lines();
        using IHost host = Silo(database.ConnectionString, lines);
        await host.StartAsync(TestContext.Current.CancellationToken).WaitAsync(Bound);

        await UntilAsync(
            () => lines.All.Any(static line => line.Contains("NOT TRANSACTIONAL", StringComparison.Ordinal)), lines);
        Assert.True(host.Services.GetRequiredService<IProcessStatus>().Health.IsHealthy);
        Assert.Single(lines.All, static line => line == "Table tb1 is NOT TRANSACTIONAL (engine MyISAM): 'all or "
            + "nothing' cannot be kept, so POST /user/batch takes one user at a time. Change it: "
            + "ALTER TABLE tb1 ENGINE = InnoDB.");
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    private static IHost Silo(string connectionString, Lines lines)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings
        {
            DisableDefaults = true,
            EnvironmentName = Environments.Production,
            ContentRootPath = Path.GetTempPath(),
        });
        builder.Configuration.AddInMemoryCollection(
            [KeyValuePair.Create<string, string?>("ConnectionStrings:UPool", connectionString)]);
        builder.Logging.AddProvider(lines);
        builder.AddUPoolSilo();
        builder.AddUsers();
        return builder.Build();
    }

    private static async Task ExecuteAsync(TestDatabase database, string statement)
    {
        await using var connection = new MySqlConnection(database.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new MySqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    private static async Task UntilAsync(Func<bool> reached, Lines lines)
    {
        long startedAt = TimeProvider.System.GetTimestamp();
        while (!reached())
        {
            Assert.True(
                TimeProvider.System.GetElapsedTime(startedAt) < Bound, "It was said: " + string.Join('\n', lines.All));
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    private sealed class Lines : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> All { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) All.Enqueue(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }
}
