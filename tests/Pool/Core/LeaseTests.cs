using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>A pool with time-limited permits: setting a lease, its end, its grace, and the reported state.</summary>
public sealed class LeaseTests
{
    [Fact]
    public Task RentAsync_NoLeaseYet_IsRefusedAtOnce() => LeasedAsync(async pool =>
    {
        Task<RentOutcome> rent = pool.Rent();
        Assert.True(rent.IsCompleted);
        RentRefusal refusal = (await rent).Refusal!;
        Assert.Equal(RefusalReason.NoPermits, refusal.Reason);
        Assert.EndsWith("It has no lease of permits.", refusal.Message, StringComparison.Ordinal);
        Assert.False(pool.Pool.TryRent(out _, out _));
        Assert.Equal(0, pool.Server.CallsOf(Step.Open));
        Assert.Equal(new LeaseUse(null, 0, 0, 0, 0, 0, 0, 0), pool.Source.ReadLeaseUse());
    });

    [Fact]
    public Task Lease_Set_WorksAtOnceInBothDirections() => LeasedAsync(async pool =>
    {
        pool.Grant(1);
        RentOutcome first = await pool.RentedAsync();
        Task<RentOutcome> waits = pool.Rent();
        Assert.False(waits.IsCompleted);
        pool.Grant(3);
        RentOutcome second = await pool.FinishAsync(waits, "the larger lease");
        RentOutcome third = await pool.RentedAsync();
        pool.Return(third);
        await pool.UntilAsync("one idle", c => c.Idle == 1);

        // Fewer permits: the idle one closes now, one of the used ones at its return.
        pool.Grant(1);
        Assert.Equal(0, pool.Counts.Idle);
        pool.Return(first);
        await pool.UntilAsync("the surplus closed", c => c is { Used: 1, Idle: 0, Closing: 0 });
        pool.Return(second);
        await pool.UntilAsync("the last stays", c => c is { Used: 0, Idle: 1 });
        Assert.Equal(2, pool.Pool.Snapshot().Closed["surplus"]);
    });

    [Fact]
    public Task Lease_MoreThanMaxConnections_TheSmallerBinds() => LeasedAsync(async pool =>
    {
        pool.Grant(10);
        Assert.Equal((3, 3), (pool.Pool.Permits, pool.Source.MaxConnections));
        pool.Source.MaxConnections = 2;
        Assert.Equal(2, pool.Pool.Permits);
        pool.Source.MaxConnections = 4;
        pool.Grant(3);
        Assert.Equal((3, 4), (pool.Pool.Permits, pool.Source.MaxConnections));
        await pool.AdvanceAsync(TimeSpan.Zero);
    });

    [Fact]
    public Task Lease_NoPermits_RentsWaitAndAreRefusedAsNoPermits() => LeasedAsync(async pool =>
    {
        pool.Grant(0);
        Task<RentOutcome> waits = pool.Rent();
        Assert.False(waits.IsCompleted);
        pool.Advance(410);
        RentRefusal refusal = (await pool.FinishAsync(waits)).Refusal!;
        Assert.Equal(RefusalReason.NoPermits, refusal.Reason);
        Assert.EndsWith("Its lease grants no permits at present.", refusal.Message, StringComparison.Ordinal);
    });

    [Fact]
    public Task Open_ManyWait_OneAtATime() => LeasedAsync(async pool =>
    {
        pool.Grant(3);
        pool.Server.Hold(Step.Open);
        Task<RentOutcome>[] rents = [pool.Rent(), pool.Rent(), pool.Rent()];
        for (int opened = 1; opened <= 3; opened++)
        {
            FakeCall open = await pool.HeldAsync(Step.Open);
            Assert.Equal(1, pool.Counts.Opening);
            Assert.Equal(opened, pool.Server.CallsOf(Step.Open));
            pool.Server.Finish(open, null);
        }

        foreach (RentOutcome rented in await pool.FinishAsync(Task.WhenAll(rents))) pool.Return(rented);
    });

    [Fact]
    public Task Lease_Ends_IdleCloseAndPendingHearWithoutAnybodyAsking() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        RentOutcome held = await pool.RentedAsync();
        pool.Return(await pool.RentedAsync());
        await pool.UntilAsync("one idle", c => c.Idle == 1);

        // The head of the queue waits for a ping that gets no reply.
        pool.Advance(9_000);
        pool.Server.Hold(Step.Ping);
        Task<RentOutcome> pending = pool.Rent();
        FakeCall ping = await pool.HeldAsync(Step.Ping);
        Task<RentOutcome> behind = pool.Rent();
        pool.Advance(1_000);
        foreach (Task<RentOutcome> refused in (Task<RentOutcome>[])[pending, behind])
        {
            RentRefusal refusal = (await pool.FinishAsync(refused, "the refusal")).Refusal!;
            Assert.Equal(RefusalReason.NoPermits, refusal.Reason);
            Assert.Contains("has ended and was not renewed", refusal.Message, StringComparison.Ordinal);
        }

        pool.Server.Finish(ping, null);
        await pool.UntilAsync("idle ones closed", c => c is { Idle: 0, Used: 1, Closing: 0, Permits: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["expired"]);
        pool.Return(held);
        await pool.UntilAsync("the used one closed as it came back", c => c is { Used: 0, Idle: 0, Closing: 0 });
        Assert.Equal(2, pool.Pool.Snapshot().Closed["expired"]);
        Assert.Equal(0, pool.Server.Sessions);
    }, o => o.RentTimeout = TimeSpan.FromMinutes(1));

    [Fact]
    public Task Lease_EndsWithIdle_TimerAloneClosesThem() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(2);
        pool.Advance(9_999);
        Assert.Equal(2, pool.Counts.Idle);
        pool.Advance(1);
        await pool.UntilAsync("all closed", c => c is { Idle: 0, Closing: 0, Permits: 0 });
        Assert.Equal(0, pool.Server.Sessions);
    });

    [Fact]
    public Task Grace_Ends_UsedAreSeveredAndClosedWithoutAnybodyAsking() => LeasedAsync(async pool =>
    {
        pool.Grant(2, milliseconds: 1_000, grace: 500);
        PooledConnection busy = await pool.OpenedAsync();
        PooledConnection resting = await pool.OpenedAsync();
        pool.Server.Hold(Step.Statement);
        Task statement = busy.CreateCommand().ExecuteNonQueryAsync(CancellationToken.None);
        FakeCall execute = await pool.HeldAsync(Step.Statement);
        await pool.AdvanceAsync(TimeSpan.FromMilliseconds(1_490));
        Assert.False(statement.IsCompleted);
        Assert.Equal(2, pool.Counts.Used);

        pool.Advance(20);
        await Assert.ThrowsAnyAsync<Exception>(() => pool.FinishAsync(statement, "the severed statement"));
        pool.Server.Finish(execute, null);
        await pool.UntilAsync("both closed", c => c is { Used: 0, Idle: 0, Closing: 0 });
        await Assert.ThrowsAsync<ConnectionSeveredException>(
            () => resting.CreateCommand().ExecuteNonQueryAsync(CancellationToken.None));
        Assert.Contains("2 rents are cut off", Assert.Single(pool.Log.Of(1008)), StringComparison.Ordinal);
        Assert.Equal(0, pool.Server.Sessions);
    });

    [Fact]
    public Task CutOff_InTheGrace_EndsThemEarlier() => LeasedAsync(async pool =>
    {
        pool.Grant(2, milliseconds: 1_000);
        PooledConnection held = await pool.OpenedAsync();
        pool.Source.CutOff();
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(System.Data.ConnectionState.Open, held.State);

        pool.Advance(1_000);
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(1, pool.Counts.Used);
        pool.Source.CutOff();
        await pool.UntilAsync("closed", c => c is { Used: 0, Closing: 0 });
        Assert.Equal(0, pool.Server.Sessions);
    });

    [Fact]
    public Task Lease_RenewedInTheGrace_UsedGoOnAndCloseAsTheyReturn() => LeasedAsync(async pool =>
    {
        pool.Grant(2, milliseconds: 1_000, grace: 500);
        PooledConnection held = await pool.OpenedAsync();
        await pool.AdvanceAsync(TimeSpan.FromMilliseconds(1_200));
        pool.Grant(2);

        // Past the old grace: connections that the new lease covers are neither cut off nor rented again.
        await pool.AdvanceAsync(TimeSpan.FromMilliseconds(1_000));
        await held.CreateCommand().ExecuteNonQueryAsync(CancellationToken.None);
        await held.DisposeAsync();
        await pool.UntilAsync("closed", c => c is { Used: 0, Idle: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["expired"]);
        Assert.Empty(pool.Log.Of(1008));
    });

    [Fact]
    public Task Lease_TakenAway_NothingIsRentedAtOnce() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(1);
        pool.Source.Lease = null;
        Assert.Equal(0, pool.Counts.Idle);
        Task<RentOutcome> rent = pool.Rent();
        Assert.True(rent.IsCompleted);
        Assert.Equal(RefusalReason.NoPermits, (await rent).Refusal!.Reason);
        await pool.UntilAsync("closed", c => c.Closing == 0);
        Assert.Equal(0, pool.Server.Sessions);
    });

    [Fact]
    public Task Lease_EndedAlready_GrantsNothing() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(1);
        pool.Grant(2, milliseconds: 0);
        Assert.Equal((0, 0), (pool.Counts.Idle, pool.Counts.Permits));
        await pool.UntilAsync("closed", c => c.Closing == 0);
    });

    [Fact]
    public Task RentAsync_DatabaseAwayAndNoLease_SaysUnavailable() => LeasedAsync(async pool =>
    {
        pool.Grant(2, milliseconds: 1_000);
        pool.Server.Fail(Step.Open);
        await pool.FinishAsync(pool.Rent());
        await pool.AdvanceAsync(TimeSpan.FromMilliseconds(1_000));
        RentOutcome outcome = await pool.FinishAsync(pool.Rent());
        Assert.Equal(RefusalReason.Unavailable, outcome.Refusal!.Reason);
        int opens = pool.Server.CallsOf(Step.Open);

        // Without a permit there is no probe; the next lease starts one.
        await pool.AdvanceAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(opens, pool.Server.CallsOf(Step.Open));
        pool.Server.Answer(Step.Open);
        pool.Grant(2);
        await pool.AdvanceUntilAsync("healthy", _ => pool.Source.Health.IsHealthy);
    });

    [Fact]
    public Task ReadLeaseUse_EveryState_IsCountedWithTheGrantApplied() => LeasedAsync(async pool =>
    {
        PoolLease lease = pool.Grant(3);
        pool.Server.Hold(Step.Close);
        RentOutcome used = await pool.RentedAsync();
        RentOutcome broken = await pool.RentedAsync();
        broken.Connection!.MustDiscard = true;
        pool.Return(broken);
        await pool.HeldAsync(Step.Close);
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> opens = pool.Rent();
        await pool.HeldAsync(Step.Open);
        Task<RentOutcome> waits = pool.Rent();
        LeaseUse use = pool.Source.ReadLeaseUse();
        Assert.Equal(new LeaseUse(lease.Sequence, 3, Opening: 1, Idle: 0, Used: 1, Closing: 1, Pending: 2, 3), use);
        Assert.Equal(3, use.Sessions);

        pool.Server.Answer(Step.Open, Step.Close);
        pool.Return(await pool.FinishAsync(opens));
        pool.Return(await pool.FinishAsync(waits));
        pool.Return(used);
        pool.Jump(10_000);
        use = pool.Source.ReadLeaseUse();
        Assert.Equal((lease.Sequence, 0), (use.Sequence, use.Permits));
    });

    [Fact]
    public Task ReadLeaseUse_Peak_IsTheMostSinceTheLastReading() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        RentOutcome[] held = [await pool.RentedAsync(), await pool.RentedAsync()];
        Task<RentOutcome>[] pending = [.. Enumerable.Range(0, 3).Select(_ => pool.Rent())];
        foreach (RentOutcome rented in held) pool.Return(rented);
        foreach (Task<RentOutcome> rent in pending) pool.Return(await pool.FinishAsync(rent));
        await pool.UntilAsync("rest", c => c is { Used: 0, Pending: 0 });
        Assert.Equal(5, pool.Source.ReadLeaseUse().Peak);
        Assert.Equal(0, pool.Source.ReadLeaseUse().Peak);
        pool.Return(await pool.RentedAsync());
        await pool.UntilAsync("rest", c => c.Used == 0);
        Assert.Equal(1, pool.Source.ReadLeaseUse().Peak);
    });

    [Fact]
    public Task PermitsWanted_ManyWait_IsRaisedOnceForEachLease() => LeasedAsync(async pool =>
    {
        int raised = 0;
        using var again = new SemaphoreSlim(0);
        pool.Source.PermitsWanted += () =>
        {
            Interlocked.Increment(ref raised);

            // Raised outside the lock: the handler may call the pool.
            _ = pool.Source.ReadLeaseUse();
            again.Release();
        };
        await pool.FinishAsync(pool.Rent());
        await pool.FinishAsync(again.WaitAsync(PoolHarness.Patience), "the first event");

        // The open in progress is for this rent, so no permit is wanted.
        pool.Grant(1);
        RentOutcome held = await pool.RentedAsync();
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(1, raised);

        Task<RentOutcome>[] waiting = [.. Enumerable.Range(0, 5).Select(_ => pool.Rent())];
        await pool.FinishAsync(again.WaitAsync(PoolHarness.Patience), "the second event");
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(2, raised);

        // The pool's maximum: more permits would not help.
        pool.Grant(3);
        RentOutcome[] all = await pool.FinishAsync(Task.WhenAll(waiting[..2]));
        Task<RentOutcome> last = pool.Rent();
        await pool.AdvanceAsync(TimeSpan.Zero);
        Assert.Equal(2, raised);
        pool.Return(held);
        foreach (RentOutcome rented in all) pool.Return(rented);
        foreach (Task<RentOutcome> rent in (Task<RentOutcome>[])[.. waiting[2..], last])
            pool.Return(await pool.FinishAsync(rent));
    });

    [Fact]
    public Task DrainAsync_LeaseEnds_ClosesAllTheSame() => LeasedAsync(async pool =>
    {
        pool.Grant(2, milliseconds: 1_000, grace: 100);
        PooledConnection held = await pool.OpenedAsync();
        Task<bool> drain = pool.Source.DrainAsync(TimeSpan.FromMinutes(1));
        pool.IsDrained = true;
        await pool.AdvanceUntilAsync("the drain", _ => drain.IsCompleted);
        Assert.True(await drain);
        Assert.Equal(System.Data.ConnectionState.Closed, held.State);
    });

    [Fact]
    public Task Lease_OfAPoolWithoutNeed_IsRefused() => PoolHarness.RunAsync(async pool =>
    {
        Assert.False(pool.Source.NeedsLease);
        Assert.Throws<InvalidOperationException>(() => pool.Grant(1));
        await pool.AdvanceAsync(TimeSpan.Zero);
    });

    [Theory]
    [InlineData(-1, 10, 20)]
    [InlineData(1, 10, 9)]
    public Task Lease_Impossible_IsRefused(int permits, long endsAt, long graceEndsAt) => LeasedAsync(async pool =>
    {
        Assert.Throws<ArgumentOutOfRangeException>(
            () => pool.Source.Lease = new PoolLease(permits, 1, endsAt, graceEndsAt));
        await pool.AdvanceAsync(TimeSpan.Zero);
    });

    internal static Task LeasedAsync(Func<PoolHarness, Task> test, Action<PoolOptions>? configure = null) =>
        PoolHarness.RunAsync(
            test,
            o =>
            {
                o.MaxConnections = 3;
                configure?.Invoke(o);
            },
            needsLease: true);
}
