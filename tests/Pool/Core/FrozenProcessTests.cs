using UPool.Core;
using UPool.Tests.Fakes;

using static UPool.Tests.Core.LeaseTests;

namespace UPool.Tests.Core;

/// <summary>
/// A process that was stopped (SIGSTOP) between any check and its action wakes up with an old lease and must not use
/// it. Its timers have not fired yet (INV-2).
/// </summary>
public sealed class FrozenProcessTests
{
    private const double LongerThanLease = 12_000;
    private const double LongerThanGrace = 20_000;

    [Fact]
    public Task TryRent_LeaseHasEnded_RentsNothing() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(2);
        pool.Jump(LongerThanLease);
        Assert.False(pool.Pool.TryRent(out _, out _));
        await AssertGoneAsync(pool);
    }, StayFresh);

    [Fact]
    public Task RentAsync_LeaseHasEnded_IsRefusedAtOnce() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(2);
        pool.Jump(LongerThanLease);
        Task<RentOutcome> rent = pool.Rent();
        Assert.True(rent.IsCompleted);
        Assert.Equal(RefusalReason.NoPermits, (await rent).Refusal!.Reason);
        await AssertGoneAsync(pool);
    }, StayFresh);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Rent_StoppedBeforeTheLock_IsRefused(bool waits) => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(1);

        // The process stops after the first reading of the clock; the pool reads it again under its lock.
        StopBeforeReading(pool, 2, LongerThanLease);
        if (waits) Assert.NotNull((await pool.FinishAsync(pool.Rent())).Refusal);
        else Assert.False(pool.Pool.TryRent(out _, out _));
        await AssertGoneAsync(pool);
    }, StayFresh);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Return_LeaseHasEnded_PendingIsNotServedWithIt(bool needsReset) => LeasedAsync(async pool =>
    {
        pool.Grant(1);
        FixedSelect? select = needsReset ? null : new FixedSelect("SELECT `id` FROM `t`");
        RentOutcome held = await pool.FinishAsync(pool.Rent(select: select));
        Task<RentOutcome> pending = pool.Rent(select: select);
        pool.Jump(LongerThanLease);
        pool.Return(held);
        RentOutcome outcome = await pool.FinishAsync(pending);
        Assert.Equal(RefusalReason.NoPermits, outcome.Refusal!.Reason);
        await AssertGoneAsync(pool);
    }, o => o.RentTimeout = TimeSpan.FromMinutes(1));

    [Fact]
    public Task Ping_LeaseHasEnded_PendingIsNotServedWithIt() => LeasedAsync(async pool =>
    {
        pool.Grant(1);
        await pool.WarmAsync(1);
        pool.Advance(501);
        pool.Server.Hold(Step.Ping);
        Task<RentOutcome> pending = pool.Rent();
        FakeCall ping = await pool.HeldAsync(Step.Ping);
        pool.Jump(LongerThanLease);
        pool.Server.Finish(ping, null);
        Assert.Equal(RefusalReason.NoPermits, (await pool.FinishAsync(pending)).Refusal!.Reason);
        await AssertGoneAsync(pool);
    }, o => o.RentTimeout = TimeSpan.FromMinutes(1));

    [Fact]
    public Task Open_StoppedBeforeItBegan_IsNotBegun() => LeasedAsync(async pool =>
    {
        pool.Grant(1);

        // The rent queues the open on this thread; the open reads the clock on another.
        int here = Environment.CurrentManagedThreadId;
        int stopped = 0;
        pool.Clock.Reading = () =>
        {
            if (Environment.CurrentManagedThreadId != here && Interlocked.Exchange(ref stopped, 1) == 0)
                pool.Jump(LongerThanLease);
        };
        Task<RentOutcome> pending = pool.Rent();
        while (Volatile.Read(ref stopped) == 0)
        {
            // Block this thread: an await might continue on another thread and be taken for the open.
            Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref stopped) != 0, PoolHarness.Patience));
        }

        RentOutcome outcome = await pool.FinishAsync(pending);
        Assert.Equal(RefusalReason.NoPermits, outcome.Refusal!.Reason);
        await pool.UntilAsync("nothing is being opened", c => c.Opening == 0);
        Assert.Equal(0, pool.Server.CallsOf(Step.Open));
        Assert.Equal(0, pool.Server.MaxSessions);
    }, o => o.RentTimeout = TimeSpan.FromMinutes(1));

    [Fact]
    public Task Open_StoppedDuringIt_SessionIsClosedAndNeverUsed() => LeasedAsync(async pool =>
    {
        pool.Grant(1);
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> pending = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        pool.Jump(LongerThanLease);
        pool.Server.Finish(open, null);
        Assert.Equal(RefusalReason.NoPermits, (await pool.FinishAsync(pending)).Refusal!.Reason);
        await AssertGoneAsync(pool);
        Assert.Equal(1, pool.Pool.Snapshot().Closed["expired"]);
        Assert.Equal(0, pool.Pool.Snapshot().Rented);
    }, o => o.RentTimeout = TimeSpan.FromMinutes(1));

    [Fact]
    public Task Open_OfAnEndedLease_IsNotUsedUnderTheNext() => LeasedAsync(async pool =>
    {
        pool.Grant(1);
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> pending = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        pool.Jump(LongerThanLease);

        // The agent resumes first, before the pool has noticed anything.
        pool.Grant(1);
        Assert.Equal(1, pool.Counts.Opening);
        pool.Server.Answer(Step.Open);
        pool.Server.Finish(open, null);
        RentOutcome rented = await pool.FinishAsync(pending, "a session of the new lease");
        Assert.Same(pool.Server.Connections[1], rented.Connection);
        Assert.Equal(1, pool.Pool.Snapshot().Closed["expired"]);
        pool.Return(rented);
    }, o => o.RentTimeout = TimeSpan.FromMinutes(1));

    [Fact]
    public Task Idle_OfAnEndedLease_AreNotRentedUnderTheNext() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(2);
        pool.Jump(LongerThanLease);
        pool.Grant(2);
        RentOutcome rented = await pool.RentedAsync();
        Assert.Same(pool.Server.Connections[2], rented.Connection);
        Assert.Equal(2, pool.Pool.Snapshot().Closed["expired"]);
        pool.Return(rented);
    }, StayFresh);

    [Fact]
    public Task Used_StoppedBeyondTheGrace_AreCutOffAtTheFirstLook() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        PooledConnection held = await pool.OpenedAsync();
        pool.Jump(LongerThanGrace);
        Assert.Equal(0, pool.Source.ReadLeaseUse().Permits);
        await AssertGoneAsync(pool);
        Assert.Single(pool.Log.Of(1008));
        await Assert.ThrowsAsync<ConnectionSeveredException>(
            () => held.CreateCommand().ExecuteNonQueryAsync(CancellationToken.None));
    });

    [Fact]
    public Task Used_AgentWakesFirstWithANewLease_AreCutOffAllTheSame() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.OpenedAsync();
        pool.Jump(LongerThanGrace);
        pool.Grant(2);
        await AssertGoneAsync(pool);
        Assert.Single(pool.Log.Of(1008));
    });

    [Fact]
    public Task Timers_FireLate_EndIsActedOn() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        await pool.WarmAsync(2);
        pool.Jump(LongerThanGrace);
        pool.Advance(10_000);
        await AssertGoneAsync(pool);
    });

    private static void StayFresh(PoolOptions options) => options.ValidationInterval = TimeSpan.FromHours(1);

    /// <summary>Stops the process before the n-th reading of the clock from now.</summary>
    private static void StopBeforeReading(PoolHarness pool, int reading, double milliseconds)
    {
        int left = reading;
        pool.Clock.Reading = () =>
        {
            if (Interlocked.Decrement(ref left) == 0) pool.Jump(milliseconds);
        };
    }

    private static async Task AssertGoneAsync(PoolHarness pool)
    {
        await pool.UntilAsync("all closed", c => c is { Idle: 0, Used: 0, Opening: 0, Closing: 0, Pending: 0 });
        Assert.Equal(0, pool.Server.Sessions);
    }
}
