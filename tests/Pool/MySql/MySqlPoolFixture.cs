using System.Data.Common;
using System.Globalization;

using MySqlConnector;

using UPool.MySql;

namespace UPool.Tests.MySql;

/// <summary>A database, its control connections and pools, and an observer's view of the server.</summary>
public sealed class MySqlPoolFixture : IAsyncDisposable
{
    private readonly string _connectionString;
    private readonly List<PooledDataSource> _pools = [];
    private readonly RecordingLog _log = new();
    private ControlConnections? _control;

    public MySqlPoolFixture(string connectionString) => _connectionString = connectionString;

    public string ConnectionString => _connectionString;

    /// <summary>Log entries at Information and above, for failure messages.</summary>
    public string Log => _log.ToString();

    /// <summary>The clock of the control connections; null: the system's.</summary>
    public TimeProvider? ControlClock { get; init; }

    public ControlConnections Control =>
        _control ??= new ControlConnections(_connectionString, _log, ControlClock);

    public PooledDataSource CreatePool(Action<PoolOptions>? configure = null)
    {
        // On a busy machine an open over TLS is slow; tests of this timeout set their own.
        var options = new PoolOptions { Name = "test", RentTimeout = TimeSpan.FromSeconds(5) };
        configure?.Invoke(options);
        PooledDataSource pool = MySqlPool.Create(_connectionString, options, Control, _log);
        _pools.Add(pool);
        return pool;
    }

    /// <summary>A connection outside the pools, to observe and to interfere.</summary>
    public async Task<MySqlConnection> ObserveAsync(string? connectionString = null)
    {
        var builder = new MySqlConnectionStringBuilder(connectionString ?? _connectionString)
        {
            Pooling = false,
            AllowUserVariables = true,
        };
        var connection = new MySqlConnection(builder.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (PooledDataSource pool in _pools) await pool.DisposeAsync();
        if (_control is not null) await _control.DisposeAsync();
    }

    public static async Task<long> ScalarAsync(DbConnection connection, string sql)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    public static async Task<string?> TextAsync(DbConnection connection, string sql)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = sql;
        object? value = await command.ExecuteScalarAsync();
        return value is null or DBNull ? null : Convert.ToString(value, CultureInfo.InvariantCulture);
    }

    public static async Task ExecuteAsync(DbConnection connection, string sql)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Waits until the pool reaches a state; a failure shows its last snapshot.</summary>
    public static async Task UntilAsync(
        PooledDataSource pool, Func<PoolSnapshot, bool> reached, double seconds = 10, string what = "the state")
    {
        long startedAt = TimeProvider.System.GetTimestamp();
        while (!reached(pool.Snapshot()))
        {
            if (TimeProvider.System.GetElapsedTime(startedAt).TotalSeconds > seconds)
                Assert.Fail($"The pool did not reach {what} within {seconds} s: {pool.Snapshot()} {pool.Health}");
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }
}
