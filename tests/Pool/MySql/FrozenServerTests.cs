using System.Data.Common;
using System.Diagnostics;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>
/// The real server is stopped with SIGSTOP at each moment of a connection's life. Every caller must end by its deadline
/// (INV-6), and after SIGCONT the pool must recover fully (INV-7) with no surplus session (INV-1).
/// </summary>
[Collection(nameof(Alone))]
[Trait("Needs", "OwnProcesses")]
public sealed class FrozenServerTests : IAsyncLifetime
{
    private const int MaxConnections = 4;
    private static readonly TimeSpan CallerDeadline = TimeSpan.FromMilliseconds(300);

    private DatabaseServer _server = null!;
    private MySqlPoolFixture _fixture = null!;
    private PooledDataSource _pool = null!;
    private MySqlConnection _observer = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await DatabaseServer.StartNewAsync();
        _fixture = new MySqlPoolFixture(_server.ConnectionString());
        _pool = _fixture.CreatePool(o =>
        {
            o.MaxConnections = MaxConnections;
            o.OpenTimeout = TimeSpan.FromMilliseconds(500);
            o.RecoveryTimeout = TimeSpan.FromSeconds(1);
            o.ValidationInterval = TimeSpan.FromMilliseconds(200);
        });
        _observer = await _fixture.ObserveAsync(_server.RootConnectionString);
        await using DbConnection connection = await _pool.OpenConnectionAsync();
        await ExecuteAsync(connection, "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB");
        await ExecuteAsync(_observer, Sql.FlushStatus);
    }

    public async ValueTask DisposeAsync()
    {
        _server.Thaw();
        await _observer.DisposeAsync();
        await _fixture.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Frozen_BeforeAnOpen_CallersEndInTimeAndPoolRecovers()
    {
        _pool.Clear();
        await UntilAsync(_pool, s => s is { Idle: 0, Closing: 0 });
        _server.Freeze();
        await CallersEndInTimeAsync(8, connection => ScalarAsync(connection, "SELECT 1"));
        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_DuringHandshakes_CallersEndInTimeAndPoolRecovers()
    {
        for (int round = 0; round < 8; round++)
        {
            _pool.Clear();
            Task callers = CallersEndInTimeAsync(8, connection => ScalarAsync(connection, "SELECT 1"));
            await SpinAsync(TimeSpan.FromMicroseconds(150 * round));
            _server.Freeze();
            await callers;
            _server.Thaw();
        }

        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_BeforeAPing_CallersEndInTimeAndPoolRecovers()
    {
        await FillAsync();
        await Task.Delay(300, TestContext.Current.CancellationToken); // past ValidationInterval, by the real clock
        _server.Freeze();
        await CallersEndInTimeAsync(8, connection => ScalarAsync(connection, "SELECT 1"));
        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_InTheMiddleOfAStatement_CallersEndInTimeAndPoolRecovers()
    {
        await FillAsync();
        Task callers = CallersEndInTimeAsync(8, connection => ScalarAsync(connection, "SELECT SLEEP(0.2)"));
        await UntilAsync(_pool, s => s.Used == MaxConnections);
        _server.Freeze();
        await callers;
        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_InTheMiddleOfRows_CallersEndInTimeAndPoolRecovers()
    {
        await FillAsync();
        int reading = 0;
        Task callers = CallersEndInTimeAsync(MaxConnections, async connection =>
        {
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = $"SELECT a.seq, REPEAT('x', 500) FROM {Sql.Sequence(10_000_000, "a")}";
            await using DbDataReader reader = await command.ExecuteReaderAsync();
            Interlocked.Increment(ref reading);
            while (await reader.ReadAsync()) _ = reader.GetInt64(0);
        });
        await UntilAllAsync(() => Volatile.Read(ref reading), "came to their rows");
        _server.Freeze();
        await callers;
        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_DuringACommit_CallersLearnThatTheOutcomeIsUnknown()
    {
        await FillAsync();
        int id = 0, unknown = 0, ready = 0;
        var commitNow = new TaskCompletionSource();
        Task callers = CallersEndInTimeAsync(MaxConnections, async connection =>
        {
            await using DbTransaction transaction = await connection.BeginTransactionAsync();
            await ExecuteAsync(connection, $"INSERT INTO t VALUES ({Interlocked.Increment(ref id)})");
            Interlocked.Increment(ref ready);
            await commitNow.Task;
            try
            {
                await transaction.CommitAsync();
            }
            catch (OutcomeUnknownException)
            {
                Interlocked.Increment(ref unknown);
                throw;
            }
        });
        await UntilAllAsync(() => Volatile.Read(ref ready), "are ready to commit");
        _server.Freeze();
        commitNow.SetResult();
        await callers;
        Assert.Equal(MaxConnections, unknown);
        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_DuringReturnsAndResets_CallersEndInTimeAndPoolRecovers()
    {
        await FillAsync();
        List<DbConnection> held = [];
        for (int i = 0; i < MaxConnections; i++) held.Add(await _pool.OpenConnectionAsync());
        await using var lateness = new TimerLateness();
        _server.Freeze();
        long startedAt = Stopwatch.GetTimestamp();
        foreach (DbConnection connection in held) await connection.DisposeAsync();
        lateness.AssertWithin(Stopwatch.GetElapsedTime(startedAt), 50, "returning four connections");
        await CallersEndInTimeAsync(8, connection => ScalarAsync(connection, "SELECT 1"));
        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_DuringCloses_CallersEndInTimeAndPoolRecovers()
    {
        await FillAsync();
        _server.Freeze();
        _pool.Clear();
        await CallersEndInTimeAsync(8, connection => ScalarAsync(connection, "SELECT 1"));
        await ThawsWholeAsync();
    }

    [Fact]
    public async Task Frozen_WithConnectionsOpen_HealthSaysSoUntilTheThaw()
    {
        await FillAsync();
        Assert.True(_pool.Health.IsHealthy);
        _server.Freeze();
        await CallersEndInTimeAsync(MaxConnections, connection => ScalarAsync(connection, "SELECT 1"));
        await UntilAsync(_pool, _ => !_pool.Health.IsHealthy, 10, "a problem in its health");
        Assert.Contains("has not answered", _pool.Health.Problem, StringComparison.Ordinal);

        await ThawsWholeAsync();
        await UntilAsync(_pool, _ => _pool.Health.IsHealthy, 10, "good health");
    }

    [Fact]
    public async Task Frozen_FiveHundredCallers_EndInTimeWithoutStarvingTheThreadPool()
    {
        await FillAsync();
        _server.Freeze();
        Task callers = CallersEndInTimeAsync(500, connection => ScalarAsync(connection, "SELECT 1"));
        long worst = 0;
        while (!callers.IsCompleted)
        {
            long queuedAt = Stopwatch.GetTimestamp();
            await Task.Run(() => { });
            worst = Math.Max(worst, (long)Stopwatch.GetElapsedTime(queuedAt).TotalMilliseconds);
            await Task.Delay(5);
        }

        await callers;
        TestContext.Current.TestOutputHelper?.WriteLine($"longest wait for a pool thread: {worst} ms");
        await ThawsWholeAsync();
    }

    /// <summary>Waits until all callers have reached a point; a caller whose deadline was earlier never does.</summary>
    private static async Task UntilAllAsync(Func<int> count, string what)
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (count() < MaxConnections)
        {
            Assert.True(
                Stopwatch.GetElapsedTime(startedAt).TotalSeconds < 10,
                $"{count()} of {MaxConnections} callers {what}");
            await Task.Delay(1);
        }
    }

    private async Task FillAsync()
    {
        List<DbConnection> held = [];
        for (int i = 0; i < MaxConnections; i++) held.Add(await _pool.OpenConnectionAsync());
        foreach (DbConnection connection in held) await connection.DisposeAsync();
        await UntilAsync(_pool, s => s.Idle == MaxConnections);
    }

    /// <summary>Runs callers with deadlines: each must end within 50 ms of its deadline, with a result or a typed
    /// error.</summary>
    private async Task CallersEndInTimeAsync(int count, Func<PooledConnection, Task> work)
    {
        double slowest = 0;
        await using var lateness = new TimerLateness();
        await Task.WhenAll(Enumerable.Range(0, count).Select(async _ =>
        {
            long startedAt = Stopwatch.GetTimestamp();
            try
            {
                RentResult rent = await _pool.RentAsync(Deadline.After(CallerDeadline));
                if (!rent.IsRented) return;
                await using PooledConnection connection = rent.Connection;
                await work(connection);
            }
            catch (Exception error) when (error is DeadlineExceededException or OutcomeUnknownException)
            {
            }
            finally
            {
                double past = (Stopwatch.GetElapsedTime(startedAt) - CallerDeadline).TotalMilliseconds;
                lock (_fixture) slowest = Math.Max(slowest, past);
            }
        }));
        double machine = lateness.WorstMilliseconds;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"slowest caller past its deadline: {slowest:0.0} ms (a bare timer: {machine:0.0} ms late)");
        Assert.True(
            slowest <= 50 + machine,
            $"a caller ended {slowest:0.0} ms past its deadline, a bare timer {machine:0.0} ms: {_pool.Snapshot()}");
    }

    /// <summary>Checks after the thaw: full capacity, no statement left running, no surplus session.</summary>
    private async Task ThawsWholeAsync()
    {
        _server.Thaw();
        long thawedAt = Stopwatch.GetTimestamp();
        await UntilAsync(_pool, s => s is { Used: 0, Opening: 0, Closing: 0, Pending: 0 }, 15, "rest after the thaw");
        List<DbConnection> held = [];
        for (int i = 0; i < MaxConnections; i++) held.Add(await RentPatientlyAsync());
        double recovery = Stopwatch.GetElapsedTime(thawedAt).TotalMilliseconds;
        foreach (DbConnection connection in held)
        {
            Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));
            await connection.DisposeAsync();
        }

        await UntilAsync(_pool, s => s.Idle == MaxConnections);
        Assert.Equal(0, await ScalarAsync(
            _observer,
            $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = 'upool' AND COMMAND = 'Query'"));
        long most = long.Parse((await MySqlPoolTests.StatusAsync(_observer, "Max_used_connections"))!);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"full capacity {recovery:0} ms after the thaw; sessions at most {most - 1} beside the observer");
        Assert.InRange(most - 1, 1, MaxConnections + 2);
    }

    private async Task<DbConnection> RentPatientlyAsync()
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            RentResult rent = await _pool.RentAsync();
            if (rent.IsRented) return rent.Connection;
            if (Stopwatch.GetElapsedTime(startedAt).TotalSeconds > 10) Assert.Fail(rent.Message);
            await Task.Delay(10);
        }
    }

    private static async Task SpinAsync(TimeSpan time)
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(startedAt) < time) await Task.Yield();
    }
}
