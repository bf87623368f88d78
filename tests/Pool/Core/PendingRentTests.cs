using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>A pending rent is reused: a late actor of its previous use must not affect the next one (INV-3).</summary>
public sealed class PendingRentTests
{
    [Fact]
    public Task RentAsync_AfterOneThatWaitedIsOver_UsesItAgain() => PoolHarness.RunAsync(async pool =>
    {
        (RentOutcome held, PendingRent waited, _) = await WaitAsync(pool);
        pool.ReturnUnused(held);
        held = await pool.RentedAsync();
        ValueTask<RentOutcome> next = pool.Pool.RentAsync(Deadline.None, default);
        pool.ReturnUnused(held);
        held = await next;
        Assert.Same(waited, held.Connection!.Waited);
        pool.ReturnUnused(held);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Await_OfARentThatIsOver_FailsAndLeavesTheNextAlone() => PoolHarness.RunAsync(async pool =>
    {
        (RentOutcome held, _, ValueTask<RentOutcome> over) = await WaitAsync(pool);
        pool.ReturnUnused(held);
        held = await pool.RentedAsync();
        ValueTask<RentOutcome> next = pool.Pool.RentAsync(Deadline.None, default);
        Assert.Throws<InvalidOperationException>(() => over.GetAwaiter().GetResult());
        pool.ReturnUnused(held);
        Assert.Throws<InvalidOperationException>(() => over.GetAwaiter().GetResult());
        pool.ReturnUnused(await next);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Token_CancelledAsTheRentIsServed_ItIsNotUsedAgain() => PoolHarness.RunAsync(async pool =>
    {
        using var leaves = new CancellationTokenSource();
        RentOutcome held = await pool.RentedAsync();
        ValueTask<RentOutcome> served = pool.Pool.RentAsync(Deadline.None, leaves.Token);
        pool.ReturnUnused(held);

        // Its callback has begun and may still be running.
        await leaves.CancelAsync();
        held = await served;
        PendingRent waited = held.Connection!.Waited!;
        pool.ReturnUnused(held);
        held = await pool.RentedAsync();
        ValueTask<RentOutcome> next = pool.Pool.RentAsync(Deadline.None, default);
        pool.ReturnUnused(held);
        held = await next;
        Assert.NotSame(waited, held.Connection!.Waited);
        pool.ReturnUnused(held);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Release_BeforeTheCallerHasTakenIt_ItIsNotUsedAgain() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        ValueTask<RentOutcome> served = pool.Pool.RentAsync(Deadline.None, default);
        pool.ReturnUnused(held);

        // As a drain or the end of a lease does.
        PhysicalConnection connection = held.Connection!;
        PendingRent waited = connection.Waited!;
        pool.Pool.Release(connection, connection.RentId);
        held = await pool.RentedAsync();
        ValueTask<RentOutcome> next = pool.Pool.RentAsync(Deadline.None, default);
        RentOutcome taken = await served;
        Assert.NotEqual(connection.RentId, taken.RentId);
        pool.ReturnUnused(held);
        held = await next;
        Assert.NotSame(waited, connection.Waited);
        pool.ReturnUnused(held);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Deadline_OfALaterOneIsEarlier_EachIsRefusedAtItsOwn() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome> late = pool.Rent(), early = pool.Rent(pool.In(50)), middle = pool.Rent(pool.In(200));
        pool.Advance(49);
        Assert.False(early.IsCompleted);
        pool.Advance(11);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(early)).Refusal!.Reason);
        Assert.Equal(2, pool.Counts.Pending);
        pool.Advance(150);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(middle)).Refusal!.Reason);
        Assert.False(late.IsCompleted);
        pool.Advance(200);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(late)).Refusal!.Reason);
        pool.Return(held);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Queue_NobodyWaitsAnyMore_TheWheelStandsStill() => PoolHarness.RunAsync(async pool =>
    {
        (RentOutcome held, _, _) = await WaitAsync(pool);
        pool.ReturnUnused(held);
        Assert.Equal(1, pool.Pool.Wheel.Count);
        pool.Advance(1010);
        Assert.Equal(0, pool.Pool.Wheel.Count);
    }, o => { o.MaxConnections = 1; o.RentTimeout = TimeSpan.FromHours(1); });

    /// <summary>A rent that waited, was served and completed, and still holds its connection.</summary>
    private static async Task<(RentOutcome Held, PendingRent Waited, ValueTask<RentOutcome> Over)> WaitAsync(
        PoolHarness pool)
    {
        RentOutcome held = await pool.RentedAsync();
        ValueTask<RentOutcome> waits = pool.Pool.RentAsync(Deadline.None, default);
        Assert.False(waits.IsCompleted);
        pool.ReturnUnused(held);
        held = await waits;
        return (held, held.Connection!.Waited!, waits);
    }
}
