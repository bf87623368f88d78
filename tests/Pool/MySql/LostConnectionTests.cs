using System.Data.Common;

using Microsoft.Extensions.Time.Testing;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Connections are lost between the pool and a real server that answers all others.</summary>
public sealed class LostConnectionTests : IAsyncLifetime
{
    // The clock of the control connections: none of their timeouts expires unless a test advances it.
    private readonly FakeTimeProvider _clock = new();

    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    private TestDatabase _database = null!;
    private TcpRelay _relay = null!;
    private MySqlPoolFixture _fixture = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        var settings = new MySqlConnectionStringBuilder(_database.ConnectionString);
        _relay = TcpRelay.Start((int)settings.Port);
        settings.Server = "127.0.0.1";
        settings.Port = (uint)_relay.Port;
        _fixture = new MySqlPoolFixture(settings.ConnectionString) { ControlClock = _clock };
    }

    public async ValueTask DisposeAsync()
    {
        await AdvanceWhileAsync(_fixture.DisposeAsync().AsTask());
        await _relay.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Open_LostOnItsWay_CostsOnePermitAndNobodyElseWaits()
    {
        PooledDataSource pool = _fixture.CreatePool(o =>
        {
            o.MaxConnections = 4;

            // Half of this time starts another open, which is answered before the lost one's timeout.
            o.RentTimeout = TimeSpan.FromMilliseconds(400);
            o.OpenTimeout = o.DrainTimeout = o.RecoveryTimeout = TimeSpan.FromMilliseconds(500);
        });
        await using DbConnection first = await pool.OpenConnectionAsync();

        // Let the lane open its own session first, or that one would be lost.
        await AnsweredAsync();
        _relay.Swallow(1);
        await using DbConnection second = await pool.OpenConnectionAsync();
        await using DbConnection third = await pool.OpenConnectionAsync();
        await UntilAsync(pool, _ => _fixture.Log.Contains(" 1009 ", StringComparison.Ordinal), 5, "the note");
        Assert.True(pool.Health.IsHealthy);
        Assert.Equal(1, pool.Snapshot().Opening);
        Assert.Equal(1, await ScalarAsync(third, "SELECT 1"));
    }

    [Fact]
    public async Task KillLane_HostDiesWithoutAWord_IsAskedOverASecondSessionAndThePoolIsWhole()
    {
        PooledDataSource pool = CreatePool();
        await FillAsync(pool);
        await AnsweredAsync();
        int before = _relay.Accepted;
        _relay.Silence();

        // Both sessions die in use: their closes wait for the lane, whose own connection is dead too.
        await Task.WhenAll(Enumerable.Range(0, 2).Select(async _ =>
        {
            RentResult rent = await pool.RentAsync(Deadline.After(TimeSpan.FromMilliseconds(300)));
            await using PooledConnection connection = rent.GetConnectionOrThrow();
            await Assert.ThrowsAsync<DeadlineExceededException>(() => ScalarAsync(connection, "SELECT 1"));
        }));
        await UntilAsync(pool, s => s.Closing == 2, 10, "both closing");
        Assert.Equal(before, _relay.Accepted);

        await AdvanceWhileAsync(UntilAsync(pool, s => s is { Used: 0, Closing: 0 }));
        await FillAsync(pool);

        // One for the lane and two for the pool; the server's three old sessions are gone.
        Assert.Equal(before + 3, _relay.Accepted);
        await AnsweredAsync();
        await using MySqlConnection observer = await _fixture.ObserveAsync(_database.ConnectionString);
        Assert.Equal(3, await ScalarAsync(observer, $"{SessionsOfOurs} AND ID <> CONNECTION_ID()"));
    }

    [Fact]
    public async Task KillLane_SecondSessionIsSilentToo_OpensNoThird()
    {
        PooledDataSource pool = CreatePool();
        await FillAsync(pool);
        await AnsweredAsync();
        int before = _relay.Accepted;
        _relay.Silence();
        _relay.Swallow(int.MaxValue);
        Task asked = _fixture.Control.KillLane.WaitUntilGoneAsync(new ServerSession(1, "nobody:1"));
        await AdvanceWhileAsync(UntilAsync(pool, _ => _relay.Accepted > before, 10, "a second session"));
        for (int second = 0; second < 3600; second++)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        Assert.Equal(before + 1, _relay.Accepted);
        Assert.False(asked.IsCompleted);
        _relay.Swallow(0);
    }

    [Fact]
    public async Task KillLane_ManySessionsAreSlowToGo_OthersAreAnsweredMeanwhile()
    {
        KillLane lane = _fixture.Control.KillLane;
        MySqlConnection slow = await _fixture.ObserveAsync();

        // Without its host the session is waited for, not killed: it ends when this test closes it.
        ServerSession session = (await SessionFacts.ReadAsync(slow)).Session with { Host = "" };

        // More than one query can hold. The clock does not move, so the lane does not repeat its queries.
        Task[] asked = [.. Enumerable.Range(0, 300).Select(_ => lane.WaitUntilGoneAsync(session))];
        await lane.WaitUntilGoneAsync(new ServerSession(1, "nobody:1")).WaitAsync(Patient);
        await lane.WaitUntilGoneAsync(new ServerSession(2, "nobody:2")).WaitAsync(Patient);
        Assert.All(asked, one => Assert.False(one.IsCompleted));
        await slow.DisposeAsync();
        await AdvanceWhileAsync(Task.WhenAll(asked));
    }

    [Fact]
    public async Task Open_FailsAfterItsHandshake_PermitIsHeldUntilTheServerHasDroppedTheSession()
    {
        // With a budget a session registers before its first use; here that fails because the table is missing.
        await using var control = new ControlConnections(_database.ConnectionString, incarnation: "here");
        await using PooledDataSource pool = MySqlPool.Create(
            _fixture.ConnectionString, new PoolOptions { Name = "test", MaxConnections = 1 }, control);
        pool.Lease = new PoolLease(1, 1, long.MaxValue - 1, long.MaxValue);
        await using MySqlConnection observer = await _fixture.ObserveAsync(_database.ConnectionString);
        _relay.LosesEnds = true;
        int before = _relay.Accepted;
        while (_relay.Accepted < before + 4)
        {
            Assert.False((await pool.RentAsync()).IsRented);
            await Task.Delay(20);
        }

        // One opening session, and the lane's own.
        Assert.InRange(await ScalarAsync(observer, $"{SessionsOfOurs} AND ID <> CONNECTION_ID()"), 1, 2);
    }

    private static readonly string SessionsOfOurs =
        $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE DB = DATABASE()";

    private PooledDataSource CreatePool() => _fixture.CreatePool(o =>
    {
        o.MaxConnections = 2;
        o.DrainTimeout = o.RecoveryTimeout = TimeSpan.FromMilliseconds(500);
    });

    private static async Task FillAsync(PooledDataSource pool)
    {
        await using DbConnection one = await pool.OpenConnectionAsync();
        await using DbConnection two = await pool.OpenConnectionAsync();
    }

    /// <summary>Waits until the lane has a session and no open question.</summary>
    private Task AnsweredAsync() => _fixture.Control.KillLane.WaitUntilGoneAsync(new ServerSession(1, "nobody:1"));

    private async Task AdvanceWhileAsync(Task task)
    {
        for (int i = 0; !task.IsCompleted && i < 20_000; i++)
        {
            _clock.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(1);
        }

        Assert.True(task.IsCompleted, "the control connections did not finish in time");
        await task;
    }
}
