using System.Collections.Concurrent;
using System.Data.Common;
using System.Diagnostics;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Behind a proxy whose thread ids belong to other sessions: no kill is ever sent, severed sessions are
/// discarded, and the client's sockets are counted (INV-1).</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class MultiplexingProxyTests : IAsyncLifetime
{
    private const int MaxConnections = 6;

    // The limit on a busy machine for steps without a deadline.
    private static readonly TimeSpan Patient = TimeSpan.FromMinutes(1);

    private DatabaseServer _server = null!;
    private MultiplexingProxy _proxy = null!;
    private MySqlPoolFixture _fixture = null!;
    private PooledDataSource _pool = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await DatabaseServer.StartNewAsync();
        _proxy = MultiplexingProxy.Start(_server.Port);
        _fixture = new MySqlPoolFixture(new MySqlConnectionStringBuilder(_server.ConnectionString())
        {
            Port = (uint)_proxy.Port,
            SslMode = MySqlSslMode.None,
        }.ConnectionString);
        _pool = _fixture.CreatePool(o =>
        {
            o.MaxConnections = MaxConnections;
            o.RentTimeout = o.OpenTimeout = Patient;
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _fixture.DisposeAsync();
        await _proxy.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Statement_AtItsDeadline_IsDiscardedWithoutAKill()
    {
        await Task.WhenAll(Enumerable.Range(0, MaxConnections).Select(async _ =>
        {
            await using PooledConnection connection =
                (await _pool.RentAsync(Deadline.After(Patient))).GetConnectionOrThrow();
            connection.Deadline = Deadline.After(TimeSpan.FromMilliseconds(300));

            // Much longer than the deadline, even if the deadline is noticed late.
            await Assert.ThrowsAsync<DeadlineExceededException>(() => ScalarAsync(connection, "SELECT SLEEP(600)"));
        }));

        await UntilAsync(_pool, s => s is { Used: 0, Closing: 0 }, Patient.TotalSeconds, "all closed");
        Assert.Equal(MaxConnections, _pool.Snapshot().Closed["discarded"]);
        await using (DbConnection next = await _pool.OpenConnectionAsync())
            Assert.Equal(1, await ScalarAsync(next, "SELECT 1"));
        await AssertNoKillAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Rows_DeadlineInTheMiddle_SocketIsClosedAllTheSame(bool byReader)
    {
        await using var lateness = new TimerLateness();
        for (int round = 0; round < 3; round++)
        {
            await using PooledConnection connection =
                (await _pool.RentAsync(Deadline.After(TimeSpan.FromSeconds(5)))).GetConnectionOrThrow();
            connection.Deadline = Deadline.After(TimeSpan.FromMilliseconds(300));
            long startedAt = Stopwatch.GetTimestamp();
            await using DbCommand command = connection.CreateCommand();

            // After most of the rows, the server sends nothing for a minute.
            command.CommandText = $"SELECT IF(seq = 3000, SLEEP(60), 0), REPEAT('x', 500) FROM {Sql.Sequence(3000)}";
            await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
            {
                if (!byReader)
                {
                    await command.ExecuteScalarAsync();
                    return;
                }

                await using DbDataReader reader = await command.ExecuteReaderAsync();
                while (await reader.ReadAsync()) Assert.Equal(0, reader.GetInt32(0));
            });
            lateness.AssertWithin(Stopwatch.GetElapsedTime(startedAt), 350, "the statement");
        }

        await UntilAsync(_pool, s => s is { Used: 0, Closing: 0 }, 5, "all closed");
        Assert.Equal(3, _pool.Snapshot().Closed["discarded"]);
        await AssertNoKillAsync();
    }

    [Fact]
    public async Task Session_ReturnedInGoodOrder_IsResetAndUsedAgain()
    {
        for (int round = 0; round < 5; round++)
        {
            await using (PooledConnection connection = (await _pool.RentAsync()).GetConnectionOrThrow())
            {
                Assert.Equal(1, await ScalarAsync(connection, "SELECT @x IS NULL"));
                await ExecuteAsync(connection, "SET @x = 1");
            }

            await UntilAsync(_pool, s => s.Idle == 1);
        }

        Assert.Equal(1, _pool.Snapshot().Opened);
        await AssertNoKillAsync();
    }

    [Fact]
    public async Task Load_OfEveryManner_EndsInTimeWithoutAKillOrASocketTooMany()
    {
        var ends = new ConcurrentDictionary<string, int>();
        double slowest = 0;
        await using var lateness = new TimerLateness();
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(4));
        uint seed = Seed.Next();
        await Task.WhenAll(Enumerable.Range(0, 24).Select(client => Task.Run(async () =>
        {
            var random = new Random((int)seed + client);
            while (!stop.IsCancellationRequested)
            {
                long startedAt = Stopwatch.GetTimestamp();
                TimeSpan patience = TimeSpan.FromMilliseconds(random.Next(50, 600));
                string end = await RequestAsync(random, patience);
                ends.AddOrUpdate(end, 1, static (_, n) => n + 1);
                double past = (Stopwatch.GetElapsedTime(startedAt) - patience).TotalMilliseconds;
                lock (ends) slowest = Math.Max(slowest, past);
                if (end.StartsWith("refused", StringComparison.Ordinal)) await Task.Delay(10);
            }
        })));

        await UntilAsync(_pool, s => s is { Used: 0, Pending: 0, Opening: 0, Closing: 0 }, 10, "rest");
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{string.Join(", ", ends.OrderBy(pair => pair.Key))}; slowest past its deadline {slowest:0} ms (a bare "
            + $"timer: {lateness.WorstMilliseconds:0}); {_proxy.Accepted} sockets, {_proxy.MostClients} at most");
        lateness.AssertWithin(TimeSpan.FromMilliseconds(slowest), 50, "the slowest");
        Assert.True(ends["read"] > 20 && ends["left"] > 5 && ends["deadline"] > 5, "nothing was stressed");
        await AssertNoKillAsync();
        Assert.InRange(_proxy.MostClients, 1, MaxConnections);

        // Full capacity: every permit at once.
        List<DbConnection> held = [];
        for (int i = 0; i < MaxConnections; i++) held.Add(await _pool.OpenConnectionAsync());
        foreach (DbConnection connection in held)
        {
            Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));
            await connection.DisposeAsync();
        }
    }

    private async Task<string> RequestAsync(Random random, TimeSpan patience)
    {
        using var leaves = new CancellationTokenSource();
        int manner = random.Next(8);
        if (manner == 0) leaves.CancelAfter(random.Next(1, 30));
        try
        {
            RentResult rent = await _pool.RentAsync(Deadline.After(patience), leaves.Token);
            if (!rent.IsRented) return $"refused {rent.Refusal}";

            await using PooledConnection connection = rent.Connection;
            switch (manner)
            {
                case < 2:
                    await using (DbCommand command = connection.CreateCommand())
                    {
                        command.CommandText = "SELECT SLEEP(0.7)";
                        await command.ExecuteScalarAsync(leaves.Token);
                    }

                    return "slept";
                case 2:
                    await using (DbCommand command = connection.CreateCommand())
                    {
                        command.CommandText = $"SELECT seq, REPEAT('x', 200) FROM {Sql.Sequence(100_000)}";
                        await using DbDataReader reader = await command.ExecuteReaderAsync();
                        for (int row = 0; row < 10; row++) Assert.True(await reader.ReadAsync());
                    }

                    return "rows left";
                case 3:
                    await using (DbTransaction transaction = await connection.BeginTransactionAsync())
                    {
                        await ExecuteAsync(connection, "SELECT SLEEP(0.01)");
                        if (random.Next(2) == 0) await transaction.CommitAsync();
                    }

                    return "transaction";
                default:
                    Assert.Equal(0, await ScalarAsync(connection, $"SELECT {Sql.InTransaction} + (@dirt IS NOT NULL)"));
                    await ExecuteAsync(connection, "SET @dirt = 1");
                    return "read";
            }
        }
        catch (OperationCanceledException) when (leaves.IsCancellationRequested)
        {
            return "left";
        }
        catch (DeadlineExceededException)
        {
            return "deadline";
        }
        catch (OutcomeUnknownException)
        {
            return "deadline in a commit";
        }
    }

    private async Task AssertNoKillAsync()
    {
        await using MySqlConnection root = await _fixture.ObserveAsync(_server.RootConnectionString);
        Assert.Equal("0", await MySqlPoolTests.StatusAsync(root, "Com_kill"));
    }
}
