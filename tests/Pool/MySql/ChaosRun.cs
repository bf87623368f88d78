using System.Collections.Concurrent;
using System.Data.Common;
using System.Diagnostics;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>
/// Clients of every kind on one pool, while a random process kills, freezes, restarts, resizes and clears, from a seed.
/// The run records: every request ends in time and with a typed result, and every acknowledged write is stored.
/// </summary>
internal sealed class ChaosRun(DatabaseServer server, PooledDataSource pool, int seed)
{
    private const int Clients = 24;
    private const int MaxConnections = 8;

    // A failure within this time after a fault's end still belongs to the fault: the pool has 2 s to recover.
    private static readonly TimeSpan FaultTail = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(1);

    private static readonly FixedSelect Uncommitted =
        new("SELECT `name` FROM `chaos` WHERE `name` >= @from AND `name` < @to");

    private readonly ConcurrentDictionary<string, int> _faults = new();
    private readonly ConcurrentDictionary<string, int> _ends = new();
    private readonly ConcurrentDictionary<string, byte> _acknowledged = new();
    private volatile bool _stopping;
    private long _started, _ended, _calm, _calmServed;
    private long _faultUntil;
    private double _slowest;
    private string _untyped = "";

    public string Figures =>
        $"seed {seed}; faults: {Print(_faults)}; requests {_ended}: {Print(_ends)}; acknowledged writes "
        + $"{_acknowledged.Count}; outside the fault windows {_calmServed} of {_calm} served "
        + $"({100.0 * _calmServed / Math.Max(1, _calm):0.00} %); slowest past its deadline {_slowest:0} ms";

    public double CalmShare => (double)_calmServed / Math.Max(1, _calm);

    public IReadOnlyDictionary<string, int> Faults => _faults;

    public double SlowestPastDeadline => _slowest;

    public static async Task PrepareAsync(MySqlConnection root) =>
        await ExecuteAsync(root, "CREATE TABLE upool.chaos (name VARCHAR(64) PRIMARY KEY) ENGINE=InnoDB");

    /// <summary>Runs clients and faults for a time; returns when every request has ended and every fault is
    /// healed.</summary>
    public async Task RunAsync(TimeSpan duration, double maxFreezeSeconds)
    {
        pool.MaxConnections = MaxConnections;
        Task[] clients =
            [.. Enumerable.Range(0, Clients).Select(n => Task.Run(() => ClientAsync(new Random(seed + n))))];
        var random = new Random(seed);
        long startedAt = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(startedAt) < duration)
        {
            await Task.Delay(random.Next(200, 1200));
            await FaultAsync(random, maxFreezeSeconds);
        }

        pool.MaxConnections = MaxConnections;
        _stopping = true;
        await Task.WhenAll(clients).WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>Checks after the run: full capacity, nothing left on the server, no acknowledged write lost, no request
    /// without a result.</summary>
    public async Task VerifyAsync(MySqlConnection root)
    {
        Assert.True(_untyped.Length == 0, _untyped);
        Assert.Equal(_started, _ended);
        await UntilAsync(pool, s => s is { Used: 0, Pending: 0, Opening: 0, Closing: 0 }, 15, "rest");
        List<DbConnection> held = [];
        for (int i = 0; i < MaxConnections; i++) held.Add(await pool.OpenConnectionAsync());
        foreach (DbConnection connection in held)
        {
            Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));
            await connection.DisposeAsync();
        }

        HashSet<string> stored = [];
        await using (var command = new MySqlCommand("SELECT name FROM upool.chaos", root))
        await using (MySqlDataReader reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync()) stored.Add(reader.GetString(0));
        string[] lost = [.. _acknowledged.Keys.Where(name => !stored.Contains(name))];
        Assert.True(lost.Length == 0, $"acknowledged and lost: {string.Join(", ", lost.Take(5))}; {Figures}");

        await UntilAsync(pool, s => s.Idle == MaxConnections, 10, "rest");
        long sessions = await ScalarAsync(
            root, $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = 'upool'");
        Assert.InRange(sessions, 1, MaxConnections + 2);
    }

    private async Task FaultAsync(Random random, double maxFreezeSeconds)
    {
        switch (random.Next(6))
        {
            case 0:
                Count("kill of sessions");
                await InFaultAsync(() => KillSessionsAsync(random));
                break;
            case 1:
                Count("freeze");
                await InFaultAsync(async () =>
                {
                    server.Freeze();
                    await Task.Delay(TimeSpan.FromSeconds(0.1 + (maxFreezeSeconds - 0.1) * random.NextDouble()));
                    server.Thaw();
                });
                break;
            case 2:
                Count("restart");
                await InFaultAsync(async () =>
                {
                    await server.KillAsync();
                    await server.StartAsync();
                });
                break;
            case 3:
                Count("resize");
                pool.MaxConnections = random.Next(4, MaxConnections + 1);
                break;
            case 4:
                Count("clear");
                pool.Clear();
                break;
            case 5:
                Count("long rent");
                _ = LongRentAsync(random);
                break;
        }

        void Count(string fault) => _faults.AddOrUpdate(fault, 1, static (_, n) => n + 1);
    }

    private async Task InFaultAsync(Func<Task> fault)
    {
        Volatile.Write(ref _faultUntil, long.MaxValue);
        await fault();
        long tail = (long)(FaultTail.TotalSeconds * Stopwatch.Frequency);
        Volatile.Write(ref _faultUntil, Stopwatch.GetTimestamp() + tail);
    }

    private async Task KillSessionsAsync(Random random)
    {
        await using var root = new MySqlConnection(server.RootConnectionString + ";Pooling=false");
        await root.OpenAsync();
        List<long> ids = [];
        await using (var command = new MySqlCommand(
            $"SELECT ID FROM {Sql.ProcessList} WHERE USER = 'upool'", root))
        await using (MySqlDataReader reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync()) ids.Add(reader.GetInt64(0));
        foreach (long id in ids.Where(_ => random.Next(2) == 0))
        {
            try
            {
                await ExecuteAsync(root, $"KILL {id}");
            }
            catch (MySqlException gone) when (gone.Number == 1094)
            {
            }
        }
    }

    private async Task LongRentAsync(Random random)
    {
        RentResult rent = await pool.RentAsync();
        if (!rent.IsRented) return;
        await using PooledConnection connection = rent.Connection;
        await Task.Delay(random.Next(500, 3000));
    }

    private async Task ClientAsync(Random random)
    {
        int number = 0;
        while (!_stopping)
        {
            long startedAt = Stopwatch.GetTimestamp();
            bool isCalm = startedAt > Volatile.Read(ref _faultUntil);
            Interlocked.Increment(ref _started);
            string end = await RequestAsync(random, $"{seed}-{random.Next()}-{number++}");
            Interlocked.Increment(ref _ended);
            _ends.AddOrUpdate(end, 1, static (_, n) => n + 1);
            double past = (Stopwatch.GetElapsedTime(startedAt) - RequestTimeout).TotalMilliseconds;
            if (past > _slowest) _slowest = past;

            // A request is outside the fault windows if no fault began before its end; a request that the client
            // cancelled is not a failure.
            if (isCalm && Stopwatch.GetTimestamp() > Volatile.Read(ref _faultUntil) && end != "left")
            {
                Interlocked.Increment(ref _calm);
                if (end == "served") Interlocked.Increment(ref _calmServed);
            }

            await Task.Delay(end == "served" ? random.Next(4) : 20);
        }
    }

    private async Task<string> RequestAsync(Random random, string name)
    {
        using var leaves = new CancellationTokenSource();
        int manner = random.Next(10);
        if (manner == 9) leaves.CancelAfter(random.Next(1, 20));
        try
        {
            Deadline deadline = Deadline.After(RequestTimeout);
            RentResult rent = manner < 2
                ? await pool.RentAsync(Uncommitted, deadline, leaves.Token)
                : await pool.RentAsync(deadline, leaves.Token);
            if (!rent.IsRented) return $"refused {rent.Refusal}";
            await using PooledConnection connection = rent.Connection;
            switch (manner)
            {
                case < 2:
                    // Only the next renter of a dirty session would see its uncommitted inserts.
                    Assert.False(await AnyAsync(connection, "uncommitted", "uncommittee"));
                    break;
                case < 4:
                    Assert.Equal(0, await ScalarAsync(connection, $"SELECT {Sql.InTransaction} + (@dirt IS NOT NULL)"));
                    break;
                case < 6:
                    await WriteAsync(connection, name);
                    break;
                case 6:
                    await ExecuteAsync(connection,
                        "SET @dirt = 1, autocommit = 0, sql_mode = ''; SELECT GET_LOCK('d', 0)");
                    await ExecuteAsync(connection, $"INSERT INTO chaos VALUES ('uncommitted {name}')");
                    break;
                case 7:
                    await using (DbCommand command = connection.CreateCommand())
                    {
                        command.CommandText = $"SELECT seq, REPEAT('x', 100) FROM {Sql.Sequence(20_000)}";
                        await using DbDataReader reader = await command.ExecuteReaderAsync(leaves.Token);
                        for (int row = 0; row < 10 && await reader.ReadAsync(leaves.Token); row++)
                            _ = reader.GetInt64(0);
                    }

                    break;
                default:
                    await using (DbCommand command = connection.CreateCommand())
                    {
                        command.CommandText = "SELECT SLEEP(0.02)";
                        await command.ExecuteScalarAsync(leaves.Token);
                    }

                    break;
            }

            return "served";
        }
        catch (OperationCanceledException) when (leaves.IsCancellationRequested)
        {
            return "left";
        }
        catch (Exception exception) when (pool.Classify(exception) != FailureKind.Other)
        {
            return pool.Classify(exception).ToString();
        }
        catch (Exception exception)
        {
            _untyped = exception.ToString();
            return "untyped";
        }
    }

    private static async Task<bool> AnyAsync(PooledConnection connection, string from, string to)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = Uncommitted.Text;
        command.Parameters.Add(new MySqlParameter("@from", from));
        command.Parameters.Add(new MySqlParameter("@to", to));
        await using DbDataReader reader = await command.ExecuteReaderAsync();
        bool any = false;
        while (await reader.ReadAsync()) any = true;
        return any;
    }

    private async Task WriteAsync(PooledConnection connection, string name)
    {
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, $"INSERT INTO chaos VALUES ('{name}')");
        await transaction.CommitAsync();
        _acknowledged[name] = 0;
    }

    private static string Print(ConcurrentDictionary<string, int> counts) =>
        string.Join(", ", counts.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key} x {pair.Value}"));
}
