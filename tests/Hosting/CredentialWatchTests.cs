using System.Collections.Concurrent;
using System.Data.Common;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MySqlConnector;
using UPool.Testing;

namespace UPool.Hosting.Tests;

/// <summary>Password rotation: the file changes, and the running host follows.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class CredentialWatchTests : IAsyncLifetime
{
    private const string Changes = "has changed: new connections use it";
    private const string Accepted = "the changed credentials work";

    private const string NewPassword = "n3w-passw0rd";

    private static readonly TimeSpan Patient = TimeSpan.FromMinutes(1);

    private readonly string _folder = Directory.CreateTempSubdirectory("upool-watch-").FullName;
    private readonly Lines _lines = new();
    private DatabaseServer _server = null!;
    private IHost _host = null!;
    private PooledDataSource _pool = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await DatabaseServer.StartNewAsync();
        Configure(_server.ConnectionString());
        HostApplicationBuilder builder = Host.CreateApplicationBuilder(
            new HostApplicationBuilderSettings { ContentRootPath = _folder });
        builder.Logging.ClearProviders().AddProvider(_lines);
        builder.AddUPool();
        _host = builder.Build();
        await _host.StartAsync(TestContext.Current.CancellationToken);
        _pool = _host.Services.GetRequiredService<PooledDataSource>();
        await _pool.StartAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(CancellationToken.None);
        if (_host is IAsyncDisposable host) await host.DisposeAsync();
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
        _lines.Dispose();
    }

    [Fact]
    public async Task Reload_PasswordHasChanged_PoolAndControlConnectionsFollow()
    {
        long former = await SessionAsync();
        await RootAsync($"ALTER USER '{DatabaseServer.User}'@'%' IDENTIFIED BY '{NewPassword}'");

        Configure(With(NewPassword));

        // One line for the pool, and one for storage and membership.
        await UntilAsync(() => _lines.Count(Accepted) == 2);
        long changed = await SessionAsync();
        Assert.NotEqual(former, changed);

        // The control connections first: they confirm that the pool's former sessions are gone. The server numbers
        // sessions in order of arrival; the log lines may be in another order.
        long storage = await SessionAsync(await _host.Services.GetRequiredService<ControlDatabase>().Storage
            .OpenConnectionAsync(TestContext.Current.CancellationToken));
        Assert.True(storage < changed, $"storage {storage}, pool {changed}: {string.Join('\n', _lines.All)}");
        Assert.DoesNotContain(_lines.All, static line => line.Contains(NewPassword, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_ThatCannotBeUsed_IsIgnoredInWords()
    {
        long former = await SessionAsync();

        Configure(With(NewPassword).Replace("Database=upool", "Database=elsewhere", StringComparison.Ordinal));
        await UntilAsync(() => _lines.Count("leads to another server, port or database") > 0);
        Configure("Server=a;Pasword=" + NewPassword);
        await UntilAsync(() => _lines.Count("The connection string cannot be read") > 0);
        Configure("");
        await UntilAsync(() => _lines.Count("It is missing now.") > 0);

        Assert.Equal(former, await SessionAsync());
        Assert.True(_pool.Health.IsHealthy, _pool.Health.Problem);
        Assert.DoesNotContain(_lines.All, static line => line.Contains(NewPassword, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_OfOtherSettings_ChangesNothing()
    {
        long former = await SessionAsync();
        Configure(_server.ConnectionString(), "Debug");
        Configure(With(NewPassword));
        await UntilAsync(() => _lines.Count(Changes) >= 2);

        // One line for the pool and one for the control connections, for the second file only.
        Assert.Equal(2, _lines.Count(Changes));

        // Refused, because the account still has its former password: everything continues with that.
        await UntilAsync(() => _lines.Count("The changed credentials do not work yet") > 0);
        Configure(_server.ConnectionString());
        await UntilAsync(() => _pool.Health.IsHealthy);
        Assert.True(await SessionAsync() > 0 && former > 0);
    }

    private string With(string password) =>
        new MySqlConnectionStringBuilder(_server.ConnectionString()) { Password = password }.ConnectionString;

    // Replaced atomically, as a secret's rotation should do it.
    private void Configure(string connectionString, string level = "Information")
    {
        string written = Path.Combine(_folder, "written");
        File.WriteAllText(written, JsonSerializer.Serialize(new
        {
            ConnectionStrings = new { UPool = connectionString },

            // An open over TLS is slow on a busy machine, and these tests do not check it.
            UPool = new { Pool = new { RentTimeout = Patient, OpenTimeout = Patient } },
            Logging = new { LogLevel = new { Default = level } },
        }));
        File.Move(written, Path.Combine(_folder, "appsettings.json"), overwrite: true);
    }

    private async Task<long> SessionAsync()
    {
        RentResult rent = await _pool.RentAsync(cancellationToken: TestContext.Current.CancellationToken);
        return await SessionAsync(rent.GetConnectionOrThrow());
    }

    private static async Task<long> SessionAsync(DbConnection rented)
    {
        await using DbConnection connection = rented;
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT CONNECTION_ID()";
        return Convert.ToInt64(
            await command.ExecuteScalarAsync(TestContext.Current.CancellationToken),
            System.Globalization.CultureInfo.InvariantCulture);
    }

    private async Task RootAsync(string sql)
    {
        await using var root = new MySqlConnection(_server.RootConnectionString);
        await root.OpenAsync(TestContext.Current.CancellationToken);
        await using MySqlCommand command = root.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    private async Task UntilAsync(Func<bool> reached)
    {
        long startedAt = TimeProvider.System.GetTimestamp();
        while (!reached())
        {
            Assert.True(
                TimeProvider.System.GetElapsedTime(startedAt) < Patient,
                $"{_pool.Health.Problem}; {string.Join(" | ", _lines.All)}");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    private sealed class Lines : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> All { get; } = new();

        public int Count(string text) => All.Count(line => line.Contains(text, StringComparison.Ordinal));

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => All.Enqueue($"{formatter(state, exception)} {exception}");

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }
    }
}
