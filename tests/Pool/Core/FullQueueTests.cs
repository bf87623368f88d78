using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>A rent that the full queue refuses needs a connection as much as a waiting one: with MaxPending 0 no rent
/// ever waits, and the pool must still open connections.</summary>
public sealed class FullQueueTests
{
    [Fact]
    public Task RentAsync_NothingMayWait_IsRefusedAndThePoolOpensForTheNext() => NobodyWaitsAsync(async pool =>
    {
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.UntilAsync("a connection", c => c is { Idle: 1, Opening: 0 });
        RentOutcome first = await pool.RentedAsync();

        // Up to the number of permits, one open for each rent without a connection.
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.UntilAsync("a second one", c => c.Idle == 1);
        RentOutcome second = await pool.RentedAsync();
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(2, pool.Server.CallsOf(Step.Open));
        pool.Return(first);
        pool.Return(second);
    });

    [Fact]
    public Task RentAsync_NothingMayWaitAndManyCome_OpensOneForThem() => NobodyWaitsAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        for (int i = 0; i < 100; i++) AssertRefused(RefusalReason.QueueFull, pool.Rent());
        FakeCall open = await pool.HeldAsync(Step.Open);
        Assert.Equal(new PoolCounts(2, 0, 0, Opening: 1, 0, 0), pool.Counts);
        pool.Server.Finish(open, null);
        await pool.UntilAsync("idle", c => c.Idle == 1);
        pool.Server.Answer(Step.Open);
    });

    [Fact]
    public Task TryRent_NothingMayWait_ThePoolOpensForTheNext() => NobodyWaitsAsync(async pool =>
    {
        Assert.False(pool.Pool.TryRent(out _, out _));
        await pool.UntilAsync("a connection", c => c.Idle == 1);
        Assert.True(pool.Pool.TryRent(out PhysicalConnection? connection, out long rentId));
        pool.Return(new RentOutcome(connection, rentId));
    });

    [Fact]
    public Task StartAsync_NothingMayWait_WaitsForTheFirstConnection() => NobodyWaitsAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task start = pool.Source.StartAsync();
        await pool.HeldAsync(Step.Open);
        Assert.False(start.IsCompleted);
        pool.Server.Answer(Step.Open);
        await pool.FinishAsync(start, "the start");
        await pool.UntilAsync("idle", c => c.Idle == 1);
    });

    [Fact]
    public Task RentAsync_NothingMayWaitAndIdleOneIsOld_IsRefusedAndItIsPinged() => NobodyWaitsAsync(async pool =>
    {
        await OpenOneAsync(pool);
        pool.Advance(501);
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.UntilAsync("pinged", c => c.Idle == 1 && pool.Server.CallsOf(Step.Ping) == 1);
        RentOutcome rented = await pool.RentedAsync();
        Assert.Equal(1, pool.Server.CallsOf(Step.Open));
        pool.Return(rented);
    });

    [Fact]
    public Task RentAsync_NothingMayWaitAndIdleOneNeedsAReset_IsRefusedAndItIsReset() => NobodyWaitsAsync(async pool =>
    {
        await OpenOneAsync(pool);
        var select = new FixedSelect("SELECT `id` FROM `t`");
        RentOutcome plain = await pool.FinishAsync(pool.Rent(select: select));
        plain.Connection!.HasExecuted = true;
        pool.ReturnUnused(plain);
        Assert.Equal(1, pool.Counts.Idle);
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.UntilAsync("reset", c => c is { Idle: 1, Used: 0 } && pool.Server.CallsOf(Step.Reset) == 1);
        pool.Return(await pool.RentedAsync());
    });

    [Fact]
    public Task RentAsync_NothingMayWaitAndServerWasAway_IsServedWhenItIsBack() => NobodyWaitsAsync(async pool =>
    {
        pool.Server.Fail(Step.Open);
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.UntilAsync("the fault", _ => pool.Pool.Problem is not null);
        AssertRefused(RefusalReason.Unavailable, pool.Rent());
        pool.Server.Answer(Step.Open);
        await pool.AdvanceUntilAsync("the probe", c => c.Idle == 1);
        pool.Return(await pool.RentedAsync());
    });

    [Fact]
    public Task RentAsync_NothingMayWaitAndNoPermits_SaysNoPermits() => NobodyWaitsAsync(async pool =>
    {
        pool.SetPermits(0);
        AssertRefused(RefusalReason.NoPermits, pool.Rent());
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(0, pool.Server.CallsOf(Step.Open));
        pool.SetPermits(1);
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.UntilAsync("a connection", c => c.Idle == 1);
    });

    [Fact]
    public Task RentAsync_NothingMayWaitAfterAClear_OpensAnew() => NobodyWaitsAsync(async pool =>
    {
        await OpenOneAsync(pool);
        pool.Source.Clear();
        await pool.UntilAsync("closed", c => c is { Idle: 0, Closing: 0 });
        AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.UntilAsync("a connection", c => c.Idle == 1);
    });

    [Fact]
    public Task RentAsync_NothingMayWaitAndThePoolDrains_SaysDraining() => NobodyWaitsAsync(async pool =>
    {
        pool.IsDrained = true;
        Assert.True(await pool.Source.DrainAsync(TimeSpan.Zero));
        AssertRefused(RefusalReason.Draining, pool.Rent());
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(0, pool.Server.CallsOf(Step.Open));
    });

    [Fact]
    public Task RentAsync_QueueIsFull_OneMoreIsOpenedThanWait() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> waits = pool.Rent();
        await pool.HeldAsync(Step.Open);
        for (int i = 0; i < 10; i++) AssertRefused(RefusalReason.QueueFull, pool.Rent());
        await pool.HeldAsync(Step.Open);
        Assert.Equal(2, pool.Counts.Opening);
        pool.Server.Answer(Step.Open);
        pool.Return(await pool.FinishAsync(waits));
        await pool.UntilAsync("idle", c => c.Idle == 2);
    }, o => { o.MaxPending = 1; o.MaxConnections = 3; });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Rent_NothingMayWaitAndTheLeaseIsUsedUp_CountsAsDemandAndWantsPermits(bool tries) =>
        LeaseTests.LeasedAsync(async pool =>
        {
            using var wanted = new SemaphoreSlim(0);
            pool.Source.PermitsWanted += () => wanted.Release();
            pool.Grant(1);
            await OpenOneAsync(pool);
            RentOutcome held = await pool.RentedAsync();
            pool.Source.ReadLeaseUse();
            Assert.Equal(0, wanted.CurrentCount);
            if (tries) Assert.False(pool.Pool.TryRent(out _, out _));
            else AssertRefused(RefusalReason.QueueFull, pool.Rent());
            await pool.FinishAsync(wanted.WaitAsync(PoolHarness.Patience), "the PermitsWanted event");
            Assert.Equal(2, pool.Source.ReadLeaseUse().Peak);
            pool.Return(held);
        }, o => o.MaxPending = 0);

    private static Task NobodyWaitsAsync(Func<PoolHarness, Task> test) =>
        PoolHarness.RunAsync(test, o => o.MaxPending = 0);

    private static async Task OpenOneAsync(PoolHarness pool)
    {
        Assert.False(pool.Pool.TryRent(out _, out _));
        await pool.UntilAsync("a connection", c => c.Idle == 1);
    }

    private static void AssertRefused(RefusalReason reason, Task<RentOutcome> rent)
    {
        Assert.True(rent.IsCompleted);
        Assert.Equal(reason, rent.Result.Refusal!.Reason);
    }
}
