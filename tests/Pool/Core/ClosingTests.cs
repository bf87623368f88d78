using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Changing permits, clears, ages, idleness; and a permit that is held until the server's
/// confirmation.</summary>
public sealed class ClosingTests
{
    [Fact]
    public Task CloseAsync_ServerHasNotDroppedTheSession_HoldsThePermit() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Close);
        RentOutcome held = await pool.RentedAsync();
        held.Connection!.MustDiscard = true;
        pool.Return(held);
        FakeCall close = await pool.HeldAsync(Step.Close);
        Task<RentOutcome> rent = pool.Rent();
        Assert.Equal(new PoolCounts(1, 0, 0, 0, 1, 1), pool.Counts);
        Assert.Equal(1, pool.Server.CallsOf(Step.Open));

        pool.Server.Finish(close, null);
        pool.Return(await pool.FinishAsync(rent));
        Assert.Equal(1, pool.Server.MaxSessions);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task CloseAsync_Fails_IsLoggedAndThePermitIsFree() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Close, times: 1);
        RentOutcome held = await pool.RentedAsync();
        held.Connection!.MustDiscard = true;
        pool.Return(held);
        await pool.UntilAsync("closed", c => c is { Used: 0, Closing: 0 });
        Assert.Single(pool.Log.Of(1004));

        // The fake's session still exists: nothing has confirmed its end.
        Assert.Equal(1, pool.Server.Sessions);
        pool.Server.EndSession(0);
    });

    [Fact]
    public Task Permits_Lowered_ClosesTheOldestIdleAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(4);
        RentOutcome last = await pool.RentedAsync();
        pool.Return(last);
        await pool.UntilAsync("idle", c => c.Idle == 4);
        pool.SetPermits(1);
        await pool.UntilAsync("closed", c => c is { Idle: 1, Closing: 0 });
        Assert.Same(last.Connection, (await pool.RentedAsync()).Connection);
        pool.Return(new RentOutcome(last.Connection!, last.Connection!.RentId));
        Assert.Equal(3, pool.Pool.Snapshot().Closed["surplus"]);
    }, o => o.MaxConnections = 4);

    [Fact]
    public Task Permits_LoweredWhileUsed_ClosesAsTheyReturn() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome[] held = [await pool.RentedAsync(), await pool.RentedAsync(), await pool.RentedAsync()];
        pool.SetPermits(1);
        Assert.Equal(3, pool.Counts.Used);
        Task<RentOutcome> pending = pool.Rent();
        pool.Return(held[0]);
        pool.Return(held[1]);
        await pool.UntilAsync("two closed", c => c is { Used: 1, Closing: 0 });
        Assert.False(pending.IsCompleted);
        pool.Return(held[2]);
        pool.Return(await pool.FinishAsync(pending));
        Assert.Equal(2, pool.Pool.Snapshot().Closed["surplus"]);
    }, o => o.MaxConnections = 3);

    [Fact]
    public Task Permits_LoweredWhileOpening_TheLateOpenIsClosed() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        pool.SetPermits(0);
        pool.Server.Finish(open, null);
        await pool.UntilAsync("closed", c => c is { Opening: 0, Used: 0, Closing: 0 });
        Assert.False(rent.IsCompleted);
        Assert.Equal(0, pool.Server.Sessions);

        pool.Server.Answer(Step.Open);
        pool.SetPermits(1);
        pool.Return(await pool.FinishAsync(rent));
    });

    [Fact]
    public Task Permits_ToZeroAndUp_ServesThePendingAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        pool.SetPermits(0);
        await pool.UntilAsync("empty", c => c is { Idle: 0, Closing: 0 });
        Task<RentOutcome>[] rents = [pool.Rent(), pool.Rent(), pool.Rent()];
        Assert.Equal(0, pool.Counts.Opening);
        pool.SetPermits(3);
        foreach (RentOutcome rented in await pool.FinishAsync(Task.WhenAll(rents))) pool.Return(rented);
    });

    [Fact]
    public Task Permits_Negative_Throws() => PoolHarness.RunAsync(pool =>
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => pool.Source.MaxConnections = -1);
        Assert.Equal(2, pool.Source.MaxConnections);
        return Task.CompletedTask;
    });

    [Fact]
    public Task Clear_IdleUsedAndOpening_AllOfTheOldGenerationGo() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        RentOutcome used = await pool.RentedAsync();
        pool.Server.Hold(Step.Open);
        RentOutcome alsoUsed = await pool.RentedAsync();
        Task<RentOutcome> pending = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        pool.Return(alsoUsed);
        await pool.FinishAsync(pending);
        await pool.UntilAsync("one used for the pending", c => c is { Used: 2, Opening: 1 });
        pool.Return(await pending);
        await pool.UntilAsync("one idle", c => c is { Used: 1, Idle: 1 });

        pool.Source.Clear();
        await pool.UntilAsync("idle is closed", c => c is { Idle: 0, Closing: 0, Used: 1 });
        pool.Server.Finish(open, null);
        pool.Server.Answer(Step.Open);
        await pool.UntilAsync("the open of before is closed", c => c is { Opening: 0, Closing: 0, Used: 1 });
        pool.Return(used);
        await pool.UntilAsync("the used one is closed", c => c is { Used: 0, Closing: 0, Idle: 0 });
        Assert.Equal(3, pool.Pool.Snapshot().Closed["cleared"]);
        RentOutcome fresh = await pool.RentedAsync();
        Assert.Same(pool.Server.Connections[^1], fresh.Connection);
        pool.Return(fresh);
    }, o => o.MaxConnections = 3);

    [Fact]
    public Task Clear_OpenForAPendingIsOfTheOldGeneration_AnotherIsOpened() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        pool.Source.Clear();
        pool.Server.Hold(Step.Close);
        pool.Server.Answer(Step.Open);
        Assert.NotNull(open);

        // It does not wait for the old session's close, which may be slow: a permit is free.
        RentOutcome rented = await pool.FinishAsync(rent);
        Assert.Same(pool.Server.Connections[1], rented.Connection);
        pool.Return(rented);
    });

    [Fact]
    public Task MaxLifetime_Reached_RetiresWithJitter() => PoolHarness.RunAsync(async pool =>
    {
        long start = pool.Clock.GetTimestamp();
        await pool.WarmAsync(40);
        double[] minutes = [.. pool.Server.Connections
            .Select(connection => pool.Clock.GetElapsedTime(start, connection.RetireAt).TotalMinutes)];
        Assert.All(minutes, lifetime => Assert.InRange(lifetime, 9, 10));
        Assert.True(minutes.Max() - minutes.Min() > 0.2, "the lifetimes do not vary");

        // Used connections are retired at their return; idle ones at once.
        RentOutcome used = await pool.RentedAsync();
        pool.Advance(TimeSpan.FromMinutes(10).TotalMilliseconds);
        await pool.UntilAsync("idle ones retired", c => c is { Idle: 0, Closing: 0, Used: 1 });
        pool.Return(used);
        await pool.UntilAsync("the used one retired", c => c is { Used: 0, Closing: 0 });
        Assert.Equal(40, pool.Pool.Snapshot().Closed["retired"]);
    }, o =>
    {
        o.MaxConnections = 40;
        o.MaxLifetime = TimeSpan.FromMinutes(10);
        o.IdleTimeout = TimeSpan.FromHours(1);
    });

    [Fact]
    public Task IdleTimeout_Passed_PrunesTheSurplusOnly() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(3);
        for (int i = 0; i < 12; i++)
        {
            // One connection is used from time to time; the last returned is rented first, so the others stay idle.
            pool.Return(await pool.RentedAsync());
            await pool.UntilAsync("returned", c => c.Used == 0);
            pool.Advance(1000);
        }

        await pool.UntilAsync("pruned", c => c is { Idle: 1, Closing: 0 });
        Assert.Equal(2, pool.Pool.Snapshot().Closed["pruned"]);
    }, o => { o.MaxConnections = 3; o.IdleTimeout = TimeSpan.FromSeconds(10); });

    [Fact]
    public Task HeldTooLong_Rent_IsReportedOnceWithTheCallersName() => PoolHarness.RunAsync(async pool =>
    {
        RentResult rented = await pool.Source.RentAsync();
        pool.Advance(29_000);
        Assert.Empty(pool.Log.Of(1005));
        pool.Advance(3000);
        await pool.UntilAsync("the report", _ => pool.Log.Of(1005).Any());
        pool.Advance(60_000);
        string report = Assert.Single(pool.Log.Of(1005));
        Assert.Contains("rented for 3", report, StringComparison.Ordinal);
        Assert.Contains($"{nameof(HeldTooLong_Rent_IsReportedOnceWithTheCallersName)} (ClosingTests.cs:", report,
            StringComparison.Ordinal);
        await rented.GetConnectionOrThrow().DisposeAsync();

        // The next rent of the same connection counts separately.
        await pool.UntilAsync("idle", c => c.Idle == 1);
        RentOutcome again = await pool.RentedAsync();
        pool.Advance(32_000);
        await pool.UntilAsync("the second report", _ => pool.Log.Of(1005).Count() == 2);
        pool.Return(again);
    }, o => o.ValidationInterval = TimeSpan.FromHours(1));

    [Fact]
    public Task HeldTooLong_SwitchedOff_IsSilent() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome rented = await pool.RentedAsync();
        pool.Advance(TimeSpan.FromHours(1).TotalMilliseconds);
        Assert.Empty(pool.Log.Of(1005));
        pool.Return(rented);
    }, o => o.HeldTooLongTimeout = Timeout.InfiniteTimeSpan);
}
