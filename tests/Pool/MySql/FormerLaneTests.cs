using Microsoft.Extensions.Time.Testing;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>The kill lane's open questions about a server to which the address no longer leads.</summary>
public sealed class FormerLaneTests : OnSharedServer
{
    // Moves only while a test waits, so nothing times out on its own.
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public async Task Ask_SessionsWereLeftThere_TheyAreEndedAndItClosesOnceNobodyAsks()
    {
        await using MySqlConnection left = await Fixture.ObserveAsync(), later = await Fixture.ObserveAsync();
        ControlSession own = await OpenAsync(Database.ConnectionString);
        KillQuestion first = new((await SessionFacts.ReadAsync(left)).Session, untilGone: true);
        KillQuestion second = new((await SessionFacts.ReadAsync(later)).Session, untilGone: true);
        var lane = new FormerLane(own, [first], _clock);
        await AdvanceUntilAsync(first.Task);
        Assert.False(lane.Ended.IsCompleted);

        Assert.True(lane.TryAdd(second));
        await AdvanceUntilAsync(second.Task);
        await AdvanceUntilAsync(lane.Ended);
        await Assert.ThrowsAnyAsync<MySqlException>(() => ScalarAsync(left, "SELECT 1"));
        await Assert.ThrowsAnyAsync<MySqlException>(() => ScalarAsync(later, "SELECT 1"));
        Assert.False(lane.TryAdd(second));
    }

    [Fact]
    public async Task TryAdd_SessionOfAnotherServer_IsNotAskedHere()
    {
        ControlSession own = await OpenAsync(Database.ConnectionString);
        var lane = new FormerLane(own, [], _clock);

        Assert.False(lane.TryAdd(new KillQuestion(
            own.Session!.Value with { Server = new ServerIdentity("another") }, untilGone: true)));
        lane.End();
        await AdvanceUntilAsync(lane.Ended);
    }

    /// <summary>The address leads to this server again: the current lane asks again.</summary>
    [Fact]
    public async Task End_SessionIsStillThere_StaysAskedAbout()
    {
        await using MySqlConnection alive = await Fixture.ObserveAsync();
        ServerSession session = (await SessionFacts.ReadAsync(alive)).Session;

        // Without a host the session is waited for, not killed.
        var question = new KillQuestion(session with { Host = "" }, untilGone: true);
        var lane = new FormerLane(await OpenAsync(Database.ConnectionString), [question], _clock);
        lane.End();
        await AdvanceUntilAsync(lane.Ended);

        Assert.False(question.Task.IsCompleted);
        Assert.Equal(1, await ScalarAsync(alive, "SELECT 1"));
    }

    /// <summary>A session whose statement cannot be killed is not used again; its permit is a separate
    /// question.</summary>
    [Fact]
    public async Task Ask_ServerDoesNotAnswer_StatementsAreSettledInTheEndAndSessionsAreNot()
    {
        var settings = new MySqlConnectionStringBuilder(Database.ConnectionString);
        await using TcpRelay relay = TcpRelay.Start((int)settings.Port);
        (settings.Server, settings.Port) = ("127.0.0.1", (uint)relay.Port);
        ControlSession own = await OpenAsync(settings.ConnectionString);
        relay.Silence();
        ServerSession there = new(1, "10.0.0.1:1", own.Server);
        KillQuestion statement = new(there, untilGone: false), session = new(there, untilGone: true);
        var lane = new FormerLane(own, [statement, session], _clock);
        _clock.Advance(TimeSpan.FromSeconds(29));
        Assert.False(statement.Task.IsCompleted);

        await AdvanceUntilAsync(lane.Ended);
        Assert.True(statement.Task.IsCompletedSuccessfully);
        Assert.False(session.Task.IsCompleted);
    }

    private static Task<ControlSession> OpenAsync(string connectionString) => ControlSession.OpenAsync(
        new SessionSource(
            MySqlSettings.Derive(connectionString, new PoolOptions()), loggers: null,
            new SignInGate(TimeProvider.System)),
        register: null);

    private async Task AdvanceUntilAsync(Task task)
    {
        for (int i = 0; !task.IsCompleted && i < 20_000; i++)
        {
            _clock.Advance(TimeSpan.FromMilliseconds(10));
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        Assert.True(task.IsCompleted, "the former lane did not end in time");
        await task;
    }
}
