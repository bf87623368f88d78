using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>
/// Planned switch-overs between two servers, one replicating the other: the old primary stays up, read-only, and keeps
/// its connections. <c>UPOOL_SWITCHOVERS=20</c> makes twenty in a row.
/// </summary>
public sealed class SwitchOverTests
{
    private const int Permits = 6;
    private const int Writers = 12;
    private const int DefaultRounds = 3;

    // The times of the moves are printed; the test's own wait must not expire first.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly ConcurrentQueue<int> _acknowledged = [];
    private readonly ConcurrentDictionary<string, int> _seen = [];
    private int _written;

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task SwitchOver_InARowUnderLoad_EverySessionFollowsAndNoAcknowledgedWriteIsMissing()
    {
        int rounds = int.TryParse(
            Environment.GetEnvironmentVariable("UPOOL_SWITCHOVERS"), CultureInfo.InvariantCulture, out int wanted)
            ? wanted
            : DefaultRounds;
        await using ReplicatedPair pair = await ReplicatedPair.StartAsync();
        await CreateTablesAsync(pair.Roots[0]);
        await pair.CatchUpAsync();
        var log = new RecordingLog();
        await using var control = new ControlConnections(
            pair.Through(pair.Servers[0].ControlConnectionString()), log, incarnation: "silo-1");
        await using PooledDataSource pool = MySqlPool.Create(
            pair.Through(pair.Servers[0].ConnectionString()),
            new PoolOptions { Name = "test", MaxConnections = Permits, RentTimeout = TimeSpan.FromSeconds(10) },
            control, log);
        pool.Lease = new PoolLease(Permits, 1, long.MaxValue - 1, long.MaxValue);
        using var stop = new CancellationTokenSource();
        await using var counts = new SessionCounts(pair);
        Task load = Task.WhenAll(
        [
            .. Enumerable.Range(0, Writers).Select(_ => WriteAsync(pool, stop.Token)), StoreAsync(control, stop.Token),
        ]);
        List<double> moves = [];
        try
        {
            for (int round = 0; round < rounds; round++)
            {
                await UntilWrittenAsync(() => log.ToString());
                int former = pair.PrimaryIndex;
                long movedAt = 0;
                await pair.SwitchOverAsync(() => movedAt = TimeProvider.System.GetTimestamp());
                string name = counts.Names[pair.PrimaryIndex]!;
                moves.Add(await counts.UntilMovedAsync(
                    former, movedAt, () => control.KillLane.Session.Server.Name == name,
                    () => $"{pool.Snapshot()} {control.KillLane.Session} {control.KillLane.Server.Current} {log}"));
            }

            await UntilWrittenAsync(() => log.ToString());
        }
        finally
        {
            await stop.CancelAsync();
            await load;
        }

        Assert.Equal((true, true), (counts.MostOfPools <= Permits, counts.MostOfControl <= 2));
        HashSet<int> stored = [];
        await using (var read = new MySqlCommand("SELECT id FROM upool.t", pair.Roots[pair.PrimaryIndex]))
        await using (MySqlDataReader reader = await read.ExecuteReaderAsync())
            while (await reader.ReadAsync()) stored.Add(reader.GetInt32(0));
        int[] missing = [.. _acknowledged.Where(id => !stored.Contains(id))];
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{rounds} switch-overs: all sessions followed within {moves.Max():0} ms (median "
            + $"{moves.Order().ElementAt(moves.Count / 2):0} ms); at most {counts.MostOfPools} sessions of the pool "
            + $"(permits {Permits}) and {counts.MostOfControl} control connections on a server, {counts.Looks} looks; "
            + $"{_acknowledged.Count} writes acknowledged, {missing.Length} missing; the writers saw "
            + string.Join(", ", _seen.OrderBy(static one => one.Key).Select(static one => $"{one.Value} x {one.Key}")));
        Assert.Empty(missing);
    }

    /// <summary>A pool that only reads, without a budget, of which nothing was ever closed or killed.</summary>
    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task SwitchOver_ProcessOnlyReads_ItsSessionsFollow()
    {
        await using ReplicatedPair pair = await ReplicatedPair.StartAsync();
        var log = new RecordingLog();
        await using var control = new ControlConnections(
            pair.Through(pair.Servers[0].ControlConnectionString()), log);
        await using PooledDataSource pool = MySqlPool.Create(
            pair.Through(pair.Servers[0].ConnectionString()),
            new PoolOptions { Name = "test", MaxConnections = 1, RentTimeout = TimeSpan.FromSeconds(10) },
            control, log);
        Assert.Equal(pair.Servers[0].Port, await PortAsync());

        // The lane connects on its own. After two more turns it has seen the server while that still accepted writes.
        long startedAt = TimeProvider.System.GetTimestamp();
        while (control.KillLane.Session.Id == 0)
        {
            if (TimeProvider.System.GetElapsedTime(startedAt) > 3 * Patience) Assert.Fail($"No kill lane. {log}");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        for (int turn = 0; turn < 2; turn++) await control.KillLane.AnswerAsync();
        await pair.SwitchOverAsync(static () => { });
        startedAt = TimeProvider.System.GetTimestamp();
        while (await PortAsync() != pair.Servers[1].Port)
        {
            if (TimeProvider.System.GetElapsedTime(startedAt) > 3 * Patience)
                Assert.Fail($"Still with the old primary. {pool.Snapshot()} {control.KillLane.Server.Current} {log}");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        async Task<long> PortAsync()
        {
            using RentResultScope rent = new(await pool.RentAsync());
            return await ScalarAsync(rent.Connection, "SELECT @@port");
        }
    }

    private static async Task CreateTablesAsync(MySqlConnection root)
    {
        await ExecuteAsync(root, "USE upool");
        await ExecuteAsync(root, "CREATE TABLE t (id INT PRIMARY KEY) ENGINE = InnoDB");
        await ExecuteAsync(root, "CREATE TABLE s (id INT PRIMARY KEY, n INT) ENGINE = InnoDB");
        await ExecuteAsync(root, "INSERT INTO s VALUES (1, 0)");
        await using Stream stream = typeof(SwitchOverTests).Assembly
            .GetManifestResourceStream("session-register.sql")!;
        using var reader = new StreamReader(stream);
        await ExecuteAsync(root, await reader.ReadToEndAsync());
    }

    private async Task WriteAsync(PooledDataSource pool, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            int id = Interlocked.Increment(ref _written);
            try
            {
                using RentResultScope rent = new(await pool.RentAsync(cancellationToken: stop));
                await ExecuteAsync(rent.Connection, $"INSERT INTO t VALUES ({id})");
                _acknowledged.Enqueue(id);
            }
            catch (Exception exception) when (exception is DbException or OperationCanceledException)
            {
                if (!stop.IsCancellationRequested) _seen.AddOrUpdate(Name(exception), 1, static (_, n) => n + 1);
                await Task.Delay(1, CancellationToken.None);
            }
        }
    }

    /// <summary>Uses the storage as membership and grain storage do.</summary>
    private static async Task StoreAsync(ControlConnections control, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using DbConnection connection = await control.Storage.OpenConnectionAsync(stop);
                await ExecuteAsync(connection, "UPDATE s SET n = n + 1 WHERE id = 1");
            }
            catch (Exception exception) when (exception is DbException or OperationCanceledException)
            {
            }

            await Task.Delay(20, CancellationToken.None);
        }
    }

    private async Task UntilWrittenAsync(Func<string> describe)
    {
        int target = _acknowledged.Count + 200;
        long startedAt = TimeProvider.System.GetTimestamp();
        while (_acknowledged.Count < target)
        {
            if (TimeProvider.System.GetElapsedTime(startedAt) > Patience)
                Assert.Fail($"The writers make no progress: {string.Join(", ", _seen)} {describe()}");
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }

    private static string Name(Exception exception) => exception switch
    {
        MySqlException mysql => $"error {mysql.Number}",
        RentRefusedException refused => $"refusal {refused.Reason}",
        _ => exception.GetType().Name,
    };

    /// <summary>A rent that must succeed.</summary>
    private sealed class RentResultScope(RentResult rent) : IDisposable
    {
        public PooledConnection Connection { get; } = rent.GetConnectionOrThrow();

        public void Dispose() => Connection.Dispose();
    }

    /// <summary>Continuously reads the session counts of both servers.</summary>
    private sealed class SessionCounts : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly int[] _now = [int.MaxValue, int.MaxValue];
        private readonly Task _looking;

        public SessionCounts(ReplicatedPair pair) =>
            _looking = Task.WhenAll(LookAsync(pair.Servers[0], 0, pair), LookAsync(pair.Servers[1], 1, pair));

        public string?[] Names { get; } = new string?[2];

        public int MostOfPools { get; private set; }

        public int MostOfControl { get; private set; }

        public int Looks { get; private set; }

        /// <summary>Waits until one server has no session of ours and the other has the pool's, the lane's and the
        /// storage's; returns how long that took.</summary>
        public async Task<double> UntilMovedAsync(
            int former, long since, Func<bool> hasLaneMoved, Func<string> describe)
        {
            while (Volatile.Read(ref _now[former]) != 0 || Volatile.Read(ref _now[1 - former]) < 3 || !hasLaneMoved())
            {
                if (TimeProvider.System.GetElapsedTime(since) > Patience)
                    Assert.Fail($"{_now[former]} sessions with the old primary. {describe()}");
                await Task.Delay(5, TestContext.Current.CancellationToken);
            }

            return TimeProvider.System.GetElapsedTime(since).TotalMilliseconds;
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _looking;
            _stop.Dispose();
        }

        private async Task LookAsync(DatabaseServer server, int at, ReplicatedPair pair)
        {
            var settings = new MySqlConnectionStringBuilder(server.RootConnectionString)
            {
                Password = pair.Servers[0].Password,
                Pooling = false,
            };
            await using var connection = new MySqlConnection(settings.ConnectionString);
            await connection.OpenAsync();
            string name = (await SessionFacts.ReadAsync(connection)).Session.Server.Name!;
            Names[at] = name;
            while (!_stop.IsCancellationRequested)
            {
                long ofPools = await ScalarAsync(
                    connection, $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = '{DatabaseServer.User}'");
                long ofControl = await ScalarAsync(
                    connection, $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = '{DatabaseServer.ControlUser}'");
                lock (_stop)
                {
                    MostOfPools = Math.Max(MostOfPools, (int)ofPools);
                    MostOfControl = Math.Max(MostOfControl, (int)ofControl);
                    Looks++;
                }

                Volatile.Write(ref _now[at], (int)(ofPools + ofControl));
                await Task.Delay(5, CancellationToken.None);
            }
        }
    }
}
