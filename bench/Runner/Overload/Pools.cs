using System.Data.Common;

using MySqlConnector;

using UPool.MySql;

namespace UPool.Bench.Runner.Overload;

/// <summary>uPool through its public API, with defaults except for the number of connections.</summary>
internal sealed class UPoolPool : IPool
{
    public const string SideName = "uPool";

    private readonly ControlConnections _control;
    private readonly PooledDataSource _pool;

    public UPoolPool(string connectionString, PoolOptions options)
    {
        _control = new ControlConnections(connectionString);
        _pool = MySqlPool.Create(connectionString, options, _control);
    }

    public string Name => SideName;

    public async Task<bool> TryExecuteAsync(string statement)
    {
        RentResult rent = await _pool.RentAsync();
        if (!rent.IsRented) return false;

        await using PooledConnection connection = rent.Connection;
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = statement;
        await command.ExecuteScalarAsync();
        return true;
    }

    public async ValueTask DisposeAsync()
    {
        await _pool.DisposeAsync();
        await _control.DisposeAsync();
    }
}

/// <summary>
/// MySqlConnector's own pool, with defaults except for the number of connections. Its timeout has whole seconds; a
/// token bounds the wait here, so that callers wait equally long in all pools.
/// </summary>
internal sealed class DriversPool(string connectionString, int connections, TimeSpan timeout) : IPool
{
    public const string SideName = "MySqlConnector's pool";

    private readonly MySqlDataSource _pool = new(new MySqlConnectionStringBuilder(connectionString)
    {
        MaximumPoolSize = (uint)connections,
    }.ConnectionString);

    public string Name => SideName;

    public async Task<bool> TryExecuteAsync(string statement)
    {
        using var bound = new CancellationTokenSource(timeout);
        MySqlConnection connection;
        try
        {
            connection = await _pool.OpenConnectionAsync(bound.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }

        await using (connection)
        {
            await using var command = new MySqlCommand(statement, connection);
            await command.ExecuteScalarAsync();
            return true;
        }
    }

    public ValueTask DisposeAsync() => _pool.DisposeAsync();
}

/// <summary>
/// The original's retry loop, over connections of the same driver, so that only the waiting differs: a caller that
/// finds no connection sleeps for 0.1 s and tries again, three times more, and is not queued. As in the original,
/// sessions are not reset.
/// </summary>
internal sealed class RetryLoopPool : IPool
{
    public const string SideName = "the original's retry loop";

    private const int Retries = 3;

    private static readonly TimeSpan RetrySleep = TimeSpan.FromMilliseconds(100);

    private readonly System.Collections.Concurrent.ConcurrentQueue<MySqlConnection> _free = new();

    private RetryLoopPool()
    {
    }

    public string Name => SideName;

    public static async Task<RetryLoopPool> OpenAsync(string connectionString, int connections)
    {
        var unpooled = new MySqlConnectionStringBuilder(connectionString) { Pooling = false };
        var pool = new RetryLoopPool();
        for (int number = 0; number < connections; number++)
        {
            var connection = new MySqlConnection(unpooled.ConnectionString);
            await connection.OpenAsync();
            pool._free.Enqueue(connection);
        }

        return pool;
    }

    public async Task<bool> TryExecuteAsync(string statement)
    {
        for (int attempt = 0; attempt <= Retries; attempt++)
        {
            if (!_free.TryDequeue(out MySqlConnection? connection))
            {
                await Task.Delay(RetrySleep);
                continue;
            }

            await using var command = new MySqlCommand(statement, connection);
            await command.ExecuteScalarAsync();
            _free.Enqueue(connection);
            return true;
        }

        return false;
    }

    public async ValueTask DisposeAsync()
    {
        while (_free.TryDequeue(out MySqlConnection? connection)) await connection.DisposeAsync();
    }
}
