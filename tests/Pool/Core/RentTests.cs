using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Which rent gets a connection, when, and what the others receive.</summary>
public sealed class RentTests
{
    [Fact]
    public Task RentAsync_ManyPending_AreServedInOrderOfArrival() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        List<Task<RentOutcome>> rents = [.. Enumerable.Range(0, 20).Select(_ => pool.Rent())];
        for (int i = 0; i < rents.Count; i++)
        {
            Assert.All(rents.Skip(i), rent => Assert.False(rent.IsCompleted));
            pool.Return(held);
            held = await pool.FinishAsync(rents[i]);
            Assert.NotNull(held.Connection);
        }

        pool.Return(held);
        Assert.Equal(1, pool.Pool.Snapshot().Opened);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Return_DuringAnOpen_ServesTheHeadAndTheOpenServesTheNext() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome first = await pool.RentedAsync();
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> head = pool.Rent();
        Task<RentOutcome> next = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);

        pool.Return(first);
        RentOutcome served = await pool.FinishAsync(head);
        Assert.Same(first.Connection, served.Connection);
        Assert.False(next.IsCompleted);

        pool.Server.Finish(open, null);
        RentOutcome opened = await pool.FinishAsync(next);
        Assert.NotSame(first.Connection, opened.Connection);
        pool.Return(served);
        pool.Return(opened);
    });

    [Fact]
    public Task Open_FinishedBeforeAnyReturn_ServesTheHead() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome first = await pool.RentedAsync();
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> head = pool.Rent();
        Task<RentOutcome> next = pool.Rent();
        pool.Server.Finish(await pool.HeldAsync(Step.Open), null);
        RentOutcome opened = await pool.FinishAsync(head);
        Assert.NotSame(first.Connection, opened.Connection);
        Assert.False(next.IsCompleted);

        pool.Return(first);
        Assert.Same(first.Connection, (await pool.FinishAsync(next)).Connection);
        pool.Return(opened);
        pool.Return(await next);
    });

    [Fact]
    public Task RentAsync_CallerLeaves_TheOpenGoesOnAndServesSomebodyElse() => PoolHarness.RunAsync(async pool =>
    {
        using var leaves = new CancellationTokenSource();
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> gone = pool.Rent(token: leaves.Token);
        FakeCall open = await pool.HeldAsync(Step.Open);
        leaves.Cancel();
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(gone));
        Assert.Equal(leaves.Token, error.CancellationToken);
        Assert.Equal(0, pool.Counts.Pending);

        Task<RentOutcome> other = pool.Rent();
        Assert.Equal(1, pool.Counts.Opening);
        pool.Server.Finish(open, null);
        pool.Return(await pool.FinishAsync(other));
        Assert.Equal(1, pool.Pool.Snapshot().Opened);
    });

    [Fact]
    public Task RentAsync_CallerLeavesTheMiddleOfTheQueue_OthersKeepTheirOrder() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        using var leaves = new CancellationTokenSource();
        Task<RentOutcome> one = pool.Rent();
        Task<RentOutcome> two = pool.Rent(token: leaves.Token);
        Task<RentOutcome> three = pool.Rent();
        leaves.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(two));
        pool.Return(held);
        pool.Return(await pool.FinishAsync(one));
        pool.Return(await pool.FinishAsync(three));
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task RentAsync_AlreadyCancelled_TakesNothing() => PoolHarness.RunAsync(async pool =>
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => pool.Rent(token: new CancellationToken(canceled: true)));
        Assert.Equal(0, pool.Counts.Opening);
    });

    [Fact]
    public Task RentAsync_NothingComesFree_TimesOutInTheHouseWords() => PoolHarness.RunAsync(async pool =>
    {
        List<RentOutcome> held = [];
        for (int i = 0; i < 20; i++) held.Add(await pool.RentedAsync());
        Task<RentOutcome>[] pending = [.. Enumerable.Range(0, 37).Select(_ => pool.Rent(pool.In(5000)))];
        Task<RentOutcome> late = pool.Rent();

        // This rent leaves first, so that the message counts 37 others.
        pool.Advance(399);
        Assert.False(late.IsCompleted);
        pool.Advance(11);
        RentOutcome[] refused = await pool.FinishAsync(Task.WhenAll([.. pending, late]));

        Assert.All(refused, outcome => Assert.Equal(RefusalReason.TimedOut, outcome.Refusal!.Reason));
        string words = "Pool 'users': no connection within 400 ms "
            + "(permits 20, used 20, idle 0, opening 0, closing 0, pending 37). "
            + "Raise MaxConnections within the cluster's budget, or shorten transactions.";
        Assert.Contains(words, refused.Select(outcome => outcome.Refusal!.Message));
        Assert.Equal(38, pool.Pool.Snapshot().TimedOut);
        foreach (RentOutcome rented in held) pool.Return(rented);
    }, o => o.MaxConnections = 20);

    [Fact]
    public Task RentAsync_DeadlineBeforeRentTimeout_IsRefusedAtTheDeadline() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome> rent = pool.Rent(pool.In(100));
        pool.Advance(99);
        Assert.False(rent.IsCompleted);
        pool.Advance(11);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(rent)).Refusal!.Reason);
        pool.Return(held);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task RentAsync_DeadlinePassed_IsRefusedThoughAConnectionIsIdle() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        Deadline deadline = pool.In(10);
        pool.Advance(10);
        Task<RentOutcome> rent = pool.Rent(deadline);
        Assert.True(rent.IsCompleted);
        Assert.Equal(RefusalReason.TimedOut, (await rent).Refusal!.Reason);
    });

    [Fact]
    public Task Return_HeadIsPastItsTime_IsNotGivenToIt() => PoolHarness.RunAsync(async pool =>
    {
        // The clock has passed the deadline, but the wheel has not turned: its tick is 10 ms.
        RentOutcome held = await pool.RentedAsync();
        pool.Advance(5);
        Task<RentOutcome> ended = pool.Rent(pool.In(1));
        Task<RentOutcome> live = pool.Rent();
        pool.Advance(2);
        Assert.False(ended.IsCompleted);
        pool.Return(held);
        RentOutcome served = await pool.FinishAsync(live);
        Assert.NotNull(served.Connection);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(ended)).Refusal!.Reason);
        pool.Return(served);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task RentAsync_QueueFull_IsRejectedAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome>[] pending = [pool.Rent(), pool.Rent()];
        Task<RentOutcome> extra = pool.Rent();
        Assert.True(extra.IsCompleted);
        RentRefusal refusal = (await extra).Refusal!;
        Assert.Equal(RefusalReason.QueueFull, refusal.Reason);
        Assert.Contains("pending 2", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("MaxPending", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(1, pool.Pool.Snapshot().Rejected);

        pool.Return(held);
        pool.Return(await pool.FinishAsync(pending[0]));
        pool.Return(await pool.FinishAsync(pending[1]));
    }, o => { o.MaxConnections = 1; o.MaxPending = 2; });

    [Fact]
    public Task RentAsync_PaceIsTooSlow_IsRejectedAtOnceAsPredictedLate() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        for (int i = 0; i < 40; i++)
        {
            pool.Advance(300);
            pool.Return(held);
            held = await pool.RentedAsync();
        }

        // One connection with rents of 300 ms: the first pending rent has time, the second would be served after 600
        // ms.
        Task<RentOutcome> first = pool.Rent();
        Task<RentOutcome> second = pool.Rent();
        Assert.False(first.IsCompleted);
        Assert.True(second.IsCompleted);
        Assert.Equal(RefusalReason.PredictedLate, (await second).Refusal!.Reason);

        // After a series of instant returns there is time again.
        pool.Return(held);
        held = await pool.FinishAsync(first);
        for (int i = 0; i < 40; i++)
        {
            pool.Return(held);
            held = await pool.RentedAsync();
        }

        Task<RentOutcome>[] joined = [pool.Rent(), pool.Rent(), pool.Rent()];
        foreach (Task<RentOutcome> rent in joined)
        {
            pool.Return(held);
            held = await pool.FinishAsync(rent);
            Assert.NotNull(held.Connection);
        }

        pool.Return(held);
    }, o => { o.MaxConnections = 1; o.ValidationInterval = TimeSpan.FromHours(1); });

    [Fact]
    public Task RentAsync_WouldBeServedAtTheVeryEnd_IsRejectedAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        for (int i = 0; i < 100; i++)
        {
            pool.Advance(95);
            pool.Return(held);
            held = await pool.RentedAsync();
        }

        // One connection with rents of 95 ms, and three quarters of 400 ms: the third is served after 285 ms, the
        // fourth after 380.
        Task<RentOutcome>[] rents = [pool.Rent(), pool.Rent(), pool.Rent(), pool.Rent()];
        Assert.Equal([false, false, false, true], rents.Select(static rent => rent.IsCompleted));
        Assert.Equal(RefusalReason.PredictedLate, (await rents[3]).Refusal!.Reason);
        foreach (Task<RentOutcome> rent in rents[..3])
        {
            pool.Return(held);
            held = await pool.FinishAsync(rent);
        }

        pool.Return(held);
    }, o => { o.MaxConnections = 1; o.ValidationInterval = TimeSpan.FromHours(1); });

    [Fact]
    public Task TryRent_SomebodyWaits_NeverOvertakes() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome> pending = pool.Rent();
        Assert.False(pool.Pool.TryRent(out _, out _));
        pool.Return(held);
        RentOutcome served = await pool.FinishAsync(pending);
        Assert.False(pool.Pool.TryRent(out _, out _));

        pool.Return(served);
        await pool.UntilAsync("idle", c => c.Idle == 1);
        Assert.True(pool.Pool.TryRent(out PhysicalConnection? connection, out long rentId));
        Assert.Same(served.Connection, connection);
        Assert.False(pool.Pool.TryRent(out _, out _));
        pool.Pool.Release(connection, rentId);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task RentAsync_Idle_TakesTheOneReturnedLast() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome one = await pool.RentedAsync();
        RentOutcome two = await pool.RentedAsync();
        pool.Return(one);
        await pool.UntilAsync("the first is idle", c => c.Idle == 1);
        pool.Return(two);
        await pool.UntilAsync("both are idle", c => c.Idle == 2);
        RentOutcome again = await pool.RentedAsync();
        Assert.Same(two.Connection, again.Connection);
        pool.Return(again);
    });

    [Fact]
    public Task RentAsync_BurstOnAnEmptyPool_OpensAllThatArePermitted() => PoolHarness.RunAsync(async pool =>
    {
        // More than may open at a time: each completed open makes room for the next.
        Task<RentOutcome>[] rents = [.. Enumerable.Range(0, 10).Select(_ => pool.Rent())];
        Assert.Equal(3, pool.Counts.Opening);
        foreach (RentOutcome rented in await pool.FinishAsync(Task.WhenAll(rents), "ten")) pool.Return(rented);
        Assert.Equal(10, pool.Pool.Snapshot().Opened);
    }, o => { o.MaxConnections = 10; o.MaxOpening = 3; });

    [Fact]
    public Task Release_Twice_ReturnsOnce() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        pool.Return(held);
        pool.Return(held);
        await pool.UntilAsync("idle", c => c is { Idle: 1, Used: 0 });
        RentOutcome next = await pool.RentedAsync();
        pool.Return(held);
        Assert.Equal(1, pool.Counts.Used);
        Assert.Equal(next.RentId, next.Connection!.RentId);
        pool.Return(next);
    }, o => o.MaxConnections = 1);
}
