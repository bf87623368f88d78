using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Opens that fail, hang or find no permit; the pause between them; the ping of connections that sat
/// idle.</summary>
public sealed class OpeningTests
{
    [Fact]
    public Task RentAsync_ServerRefusesOpens_PendingHearAtOnceAndLaterOnesToo() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome>[] pending = [pool.Rent(), pool.Rent(), pool.Rent()];
        FakeCall open = await pool.HeldAsync(Step.Open);
        await pool.HeldAsync(Step.Open);
        pool.Server.Fail(Step.Open);
        pool.Server.Finish(open, new FakeDbException(DriverFailure.Connection, "refused"));

        foreach (RentOutcome outcome in await pool.FinishAsync(Task.WhenAll(pending)))
        {
            Assert.Equal(RefusalReason.Unavailable, outcome.Refusal!.Reason);
            Assert.Contains("failed with Connection", outcome.Refusal.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(FakeConnector.Secret, outcome.Refusal.Message, StringComparison.Ordinal);
        }

        Task<RentOutcome> later = pool.Rent();
        Assert.True(later.IsCompleted);
        Assert.Equal(RefusalReason.Unavailable, (await later).Refusal!.Reason);
        Assert.Equal(4, pool.Pool.Snapshot().Rejected);
        Assert.False(pool.Source.Health.IsHealthy);
    });

    [Fact]
    public Task OpenAsync_Unanswered_KeepsItsPermitAndIsTheOneProbe() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        pool.Advance(400 + 10);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(rent)).Refusal!.Reason);

        await pool.AdvanceUntilAsync("the open counts as unanswered", _ => pool.Pool.Problem is not null, 50);
        Assert.Contains("has not answered an open within 2000 ms", pool.Pool.Problem, StringComparison.Ordinal);
        for (int i = 0; i < 20; i++)
        {
            Task<RentOutcome> refused = pool.Rent();
            Assert.True(refused.IsCompleted);
            Assert.Equal(RefusalReason.Unavailable, (await refused).Refusal!.Reason);
            await pool.AdvanceAsync(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(1, pool.Counts.Opening);
        Assert.Equal(1, pool.Server.CallsOf(Step.Open));

        // A late answer counts: the connection is used.
        pool.Server.Answer(Step.Open);
        await pool.UntilAsync("idle", c => c is { Idle: 1, Opening: 0 });
        Assert.Null(pool.Pool.Problem);
        Assert.Single(pool.Log.Of(1002));
        Assert.NotNull(open);
    });

    [Fact]
    public Task OpenAsync_UnansweredWithPending_PendingHearAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        await pool.HeldAsync(Step.Open);
        await pool.AdvanceUntilAsync("the answer", _ => rent.IsCompleted, 50);
        Assert.Equal(RefusalReason.Unavailable, (await rent).Refusal!.Reason);
        Assert.InRange(pool.Pool.Snapshot().Rejected, 1, 1);
    }, o => { o.RentTimeout = TimeSpan.FromMinutes(1); o.MaxConnections = 1; });

    [Fact]
    public Task RentAsync_OneOpenUnanswered_WhatIsOpenIsStillRented() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> pending = pool.Rent();
        await pool.HeldAsync(Step.Open);
        pool.Return(held);
        pool.Return(await pool.FinishAsync(pending));
        await pool.UntilAsync("idle", c => c.Idle == 1);

        // Long enough for the idle connection to need a ping: the hanging open must not count as one.
        await pool.AdvanceUntilAsync("the open counts as unanswered", _ => pool.Log.Of(1009).Any(), 50);
        Task<RentOutcome> next = pool.Rent();
        pool.Return(await pool.FinishAsync(next, "the idle connection"));
    });

    [Fact]
    public Task OpenAsync_KeepsFailing_PausesDoubleWithJitterUpToTheMax() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open);
        await pool.FinishAsync(pool.Rent());
        double shortest = 50, longest = 50;
        for (int failed = 1; failed <= 8; failed++)
        {
            await pool.UntilAsync("the pause", c => c is { Opening: 0, Closing: 1 });
            Assert.Equal(failed, pool.Server.CallsOf(Step.Open));
            double paused = 0;
            while (pool.Server.CallsOf(Step.Open) == failed)
            {
                await pool.AdvanceAsync(TimeSpan.FromMilliseconds(10));
                paused += 10;
                Assert.True(paused <= longest + 50, $"pause {failed} is longer than {longest} ms: {pool.Describe()}");
            }

            Assert.True(paused >= shortest, $"pause {failed} was {paused} ms, shorter than {shortest} ms");
            longest = Math.Min(longest * 2, 800);
            shortest = Math.Max(50, longest / 2);
        }

        Assert.Single(pool.Log.Of(1001));
        Assert.InRange(pool.Server.MaxSessions, 1, 1);
    }, o => o.MaxOpenRetryInterval = TimeSpan.FromMilliseconds(800));

    [Fact]
    public Task OpenAsync_Failed_HoldsItsPermitThroughThePause() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open, times: 1);
        await pool.FinishAsync(pool.Rent());
        await pool.UntilAsync("the pause", c => c is { Opening: 0, Closing: 1 });
        await pool.AdvanceUntilAsync("idle", c => c is { Idle: 1, Closing: 0 });
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task RentAsync_ServerHasNoRoom_SaysNoPermitsAndNotUnavailable() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open, DriverFailure.NoPermit);
        Task<RentOutcome> rent = pool.Rent();
        await pool.AdvanceUntilAsync("the refusal", _ => rent.IsCompleted);
        RentRefusal refusal = (await rent).Refusal!;
        Assert.Equal(RefusalReason.NoPermits, refusal.Reason);
        Assert.Contains("failed with NoPermit", refusal.Message, StringComparison.Ordinal);

        // Not broken: a new rent waits and is served when there is room.
        Task<RentOutcome> waits = pool.Rent();
        Assert.False(waits.IsCompleted);
        pool.Server.Answer(Step.Open);
        await pool.AdvanceUntilAsync("room", _ => waits.IsCompleted);
        Assert.NotNull((await waits).Connection);
        pool.Return(await waits);
    }, o => o.MaxOpenRetryInterval = TimeSpan.FromMilliseconds(50));

    [Fact]
    public Task RentAsync_ServerHasNoRoomForMore_SaysNoPermitsThoughSomeAreOpen() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        pool.Server.Fail(Step.Open, DriverFailure.NoPermit);
        Task<RentOutcome> rent = pool.Rent();
        await pool.AdvanceUntilAsync("the refusal", _ => rent.IsCompleted);
        Assert.Equal(RefusalReason.NoPermits, (await rent).Refusal!.Reason);

        // As many connections as permits are open: a probe's earlier error does not explain this wait.
        pool.SetPermits(1);
        rent = pool.Rent();
        await pool.AdvanceUntilAsync("the refusal", _ => rent.IsCompleted);
        Assert.Equal(RefusalReason.TimedOut, (await rent).Refusal!.Reason);
        pool.SetPermits(2);
        pool.Return(held);
    });

    [Fact]
    public Task RentAsync_NoPermits_SaysSo() => PoolHarness.RunAsync(async pool =>
    {
        pool.SetPermits(0);
        Task<RentOutcome> rent = pool.Rent();
        Assert.Equal(0, pool.Counts.Opening);
        pool.Advance(410);
        Assert.Equal(RefusalReason.NoPermits, (await pool.FinishAsync(rent)).Refusal!.Reason);
    });

    [Fact]
    public Task ProblemFound_NothingIsOpen_PendingHearAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Close);
        RentOutcome held = await pool.RentedAsync();
        held.Connection!.MustDiscard = true;
        pool.Return(held);
        FakeCall close = await pool.HeldAsync(Step.Close);
        Task<RentOutcome> pending = pool.Rent();
        pool.Server.SetProblem("Nobody answers.");
        RentRefusal refusal = (await pool.FinishAsync(pending)).Refusal!;
        Assert.Equal(RefusalReason.Unavailable, refusal.Reason);
        Assert.EndsWith("Nobody answers.", refusal.Message, StringComparison.Ordinal);
        pool.Server.Finish(close, null);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task WarmUpAsync_ServerAway_DoesNotThrowAndGoesOnTrying() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open);
        await pool.FinishAsync(pool.Source.StartAsync());
        Assert.False(pool.Source.Health.IsHealthy);
        pool.Server.Answer(Step.Open);
        await pool.AdvanceUntilAsync("healthy", c => pool.Source.Health.IsHealthy && c.Idle == 1);
    });

    [Fact]
    public Task RentAsync_SatIdleTooLong_IsPingedFirst() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        pool.Advance(500);
        RentOutcome fresh = await pool.RentedAsync();
        Assert.Equal(0, pool.Server.CallsOf(Step.Ping));
        pool.Return(fresh);
        await pool.UntilAsync("idle", c => c.Idle == 1);

        pool.Advance(501);
        pool.Server.Hold(Step.Ping);
        Task<RentOutcome> rent = pool.Rent();
        FakeCall ping = await pool.HeldAsync(Step.Ping);
        Assert.False(rent.IsCompleted);
        Assert.Equal(0, pool.Counts.Opening);
        pool.Server.Finish(ping, null);
        RentOutcome pinged = await pool.FinishAsync(rent);
        Assert.Same(fresh.Connection, pinged.Connection);
        pool.Return(pinged);
    });

    [Fact]
    public Task RentAsync_IdleOneIsDead_AnotherIsOpenedThoughItsCloseHangs() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        pool.Server.Connections[0].Die();
        pool.Server.Hold(Step.Close);
        pool.Advance(501);
        Task<RentOutcome> rent = pool.Rent();
        RentOutcome opened = await pool.FinishAsync(rent, "a new connection");
        Assert.Same(pool.Server.Connections[1], opened.Connection);
        Assert.Equal(1, pool.Counts.Closing);
        pool.Return(opened);
    });

    [Fact]
    public Task RentAsync_PingHangsAndThereIsAPermit_AnotherIsOpenedInTime() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        pool.Advance(501);
        pool.Server.Hold(Step.Ping);
        Task<RentOutcome> rent = pool.Rent();
        await pool.HeldAsync(Step.Ping);

        // In small steps, because the ping waits a moment before its timeout is set.
        await pool.AdvanceUntilAsync("a new connection", _ => rent.IsCompleted, 10);
        RentOutcome opened = await pool.FinishAsync(rent, "a new connection");
        Assert.Same(pool.Server.Connections[1], opened.Connection);
        pool.Return(opened);
    });

    [Fact]
    public Task RentAsync_PingHangsAndThereIsNoOther_ConnectionIsReplacedInTime() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        pool.Advance(501);
        pool.Server.Hold(Step.Ping);
        Task<RentOutcome> rent = pool.Rent();
        await pool.HeldAsync(Step.Ping);
        await pool.AdvanceUntilAsync("a new connection", _ => rent.IsCompleted, 10);
        RentOutcome opened = await pool.FinishAsync(rent, "a new connection");
        Assert.Same(pool.Server.Connections[1], opened.Connection);
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
        pool.Return(opened);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task TryRent_SatIdleTooLong_IsPingedForTheNextWhoTries() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        pool.Advance(501);
        pool.Server.Hold(Step.Ping);
        for (int i = 0; i < 10; i++) Assert.False(pool.Pool.TryRent(out _, out _));
        FakeCall ping = await pool.HeldAsync(Step.Ping);
        pool.Server.Finish(ping, null);
        await pool.UntilAsync("idle again", c => c.Idle == 1);
        Assert.True(pool.Pool.TryRent(out PhysicalConnection? connection, out long rentId));
        Assert.Equal(1, pool.Server.CallsOf(Step.Ping));
        Assert.Equal(1, pool.Server.CallsOf(Step.Open));
        pool.Return(new RentOutcome(connection, rentId));
    });

    [Fact]
    public Task TryRent_NothingIsOpen_OneIsOpenedForTheNextWhoTries() => PoolHarness.RunAsync(async pool =>
    {
        for (int i = 0; i < 10; i++) Assert.False(pool.Pool.TryRent(out _, out _));
        await pool.UntilAsync("a connection", c => c.Idle == 1);
        Assert.True(pool.Pool.TryRent(out PhysicalConnection? connection, out long rentId));
        Assert.Equal(1, pool.Server.CallsOf(Step.Open));

        // Up to the number of permits, one open for each rent without a connection.
        Assert.False(pool.Pool.TryRent(out _, out _));
        await pool.UntilAsync("a second one", c => c.Idle == 1);
        Assert.True(pool.Pool.TryRent(out PhysicalConnection? second, out long secondId));
        Assert.False(pool.Pool.TryRent(out _, out _));
        Assert.Equal(0, pool.Counts.Opening);
        pool.Return(new RentOutcome(connection, rentId));
        pool.Return(new RentOutcome(second, secondId));
    });

    [Fact]
    public Task RentAsync_PingHangs_ConnectionIsReplacedWithinRecoveryTimeout() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        pool.Advance(501);
        pool.Server.Hold(Step.Ping);
        Task<RentOutcome> rent = pool.Rent();
        await pool.HeldAsync(Step.Ping);
        await pool.AdvanceUntilAsync("the end of the ping", _ => pool.Pool.Snapshot().Closed["discarded"] == 1);
        RentOutcome opened = await pool.FinishAsync(rent, "a new connection");
        Assert.Same(pool.Server.Connections[1], opened.Connection);
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
        pool.Return(opened);
    }, o => { o.MaxConnections = 1; o.RecoveryTimeout = TimeSpan.FromMilliseconds(100); });
}
