using UPool.Core;
using UPool.Tests.Fakes;

using static UPool.Tests.Core.LeaseTests;

namespace UPool.Tests.Core;

/// <summary>Changed credentials combined with the end of a lease, a lost open, a clear, or another change: they are
/// tried until the server has answered, with one open at a time under a lease.</summary>
public sealed class CandidateAndLeaseTests
{
    [Fact]
    public Task Change_LeaseEndsJustBeforeItsOpen_IsTriedUnderTheNext() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        Task<bool> change = ChangeAndStop(pool, "second");
        await pool.UntilAsync("nothing is being opened", c => c.Opening == 0);
        Assert.Equal(0, pool.Server.CallsOf(Step.OpenChanged));
        Assert.False(change.IsCompleted);
        Assert.Contains("not been tried", pool.Source.Health.Problem, StringComparison.Ordinal);
        pool.Grant(2);
        Assert.True(await pool.FinishAsync(change));
        await pool.UntilAsync("good health", _ => pool.Source.Health.IsHealthy);
    });

    [Fact]
    public Task Change_LeaseEndsJustBeforeItsOpenAndAnotherComes_TheLastOneIsTried() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        Task<bool> second = ChangeAndStop(pool, "second");
        await pool.UntilAsync("nothing is being opened", c => c.Opening == 0);
        Task<bool> third = pool.Source.ChangeConnectionStringAsync("third");
        Assert.False(await pool.FinishAsync(second));
        pool.Grant(2);
        Assert.True(await pool.FinishAsync(third));
        Assert.Equal("third", pool.Server.Credentials);
    });

    [Fact]
    public Task Change_PermitsShrinkJustBeforeItsOpen_IsTriedWhenThereIsOneAgain() => LeasedAsync(async pool =>
    {
        pool.Grant(1);
        Task<bool> change = ChangeAnd(pool, "second", () => pool.Grant(0));
        await pool.UntilAsync("nothing is being opened", c => c.Opening == 0);
        Assert.Equal(0, pool.Server.CallsOf(Step.OpenChanged));
        Assert.False(pool.Source.Health.IsHealthy);
        pool.Grant(1);
        Assert.True(await pool.FinishAsync(change));
    });

    [Fact]
    public Task Change_WithoutALease_IsTriedUnderTheFirst() => LeasedAsync(async pool =>
    {
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        await pool.AdvanceAsync(TimeSpan.FromSeconds(1));
        Assert.False(change.IsCompleted);
        Assert.False(pool.Source.Health.IsHealthy);
        pool.Grant(1);
        Assert.True(await pool.FinishAsync(change));
    });

    [Fact]
    public Task Change_LeaseEndsForGood_DrainAnswersFalse() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        Task<bool> change = ChangeAndStop(pool, "second");
        await pool.UntilAsync("nothing is being opened", c => c.Opening == 0);
        pool.IsDrained = true;
        Assert.True(await pool.FinishAsync(pool.Source.DrainAsync(TimeSpan.Zero)));
        Assert.False(await pool.FinishAsync(change));
    });

    [Fact]
    public Task Change_LeaseEndedAndRenewedDuringItsOpen_SessionIsNotUsedUnderTheNext() => LeasedAsync(async pool =>
    {
        pool.Grant(2);
        pool.Server.Hold(Step.OpenChanged);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        FakeCall open = await pool.HeldAsync(Step.OpenChanged);
        pool.Jump(12_000);
        pool.Grant(2);

        // The server may have been told to end everything that was opened under the previous lease.
        pool.Server.Finish(open, null);
        Assert.True(await pool.FinishAsync(change));
        await pool.UntilAsync("closed", c => c is { Idle: 0, Used: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["expired"]);
        RentOutcome rented = await pool.RentedAsync();
        Assert.Same(pool.Server.Connections[1], rented.Connection);
        pool.Return(rented);
    });

    [Fact]
    public Task Change_ClearedDuringItsOpen_SessionIsNotUsed() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.OpenChanged);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        FakeCall open = await pool.HeldAsync(Step.OpenChanged);
        pool.Source.Clear();
        pool.Server.Finish(open, null);
        Assert.True(await pool.FinishAsync(change));
        await pool.UntilAsync("closed", c => c is { Idle: 0, Used: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["cleared"]);
        pool.Server.Answer(Step.OpenChanged);
    });

    [Fact]
    public Task Change_AnOpenWasLost_IsNotTriedBesideItUnderALease() => LeasedAsync(async pool =>
    {
        FakeCall lost = await LoseOneAsync(pool);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        await pool.AdvanceAsync(TimeSpan.FromSeconds(15));
        Assert.Equal((1, 0), (pool.Counts.Opening, pool.Server.CallsOf(Step.OpenChanged)));

        // An idle connection is not closed to make room for a try that may not begin.
        Assert.Equal(1, pool.Counts.Idle);
        pool.Server.Finish(lost, new FakeDbException(DriverFailure.Connection, "lost"));
        await pool.AdvanceUntilAsync("the change", _ => change.IsCompleted);
        Assert.True(await change);
    }, o => o.MaxConnections = 2);

    [Fact]
    public Task Probe_TheOneBeforeWasLost_IsNotSentBesideItUnderALease() => LeasedAsync(async pool =>
    {
        pool.Grant(3, TimeSpan.FromHours(1).TotalMilliseconds);
        RentOutcome held = await pool.RentedAsync();
        pool.Server.Fail(Step.Open, times: 1);
        Task<RentOutcome> waits = pool.Rent(pool.In(60_000));
        await pool.AdvanceUntilAsync("the fault", _ => pool.Pool.Problem is not null);
        pool.Server.Hold(Step.Open);
        await pool.AdvanceUntilAsync("the probe", c => c.Opening == 1);
        FakeCall lost = await pool.HeldAsync(Step.Open);

        // A reset is answered after the probe was sent, so the probe's open was lost.
        pool.Return(held);
        held = await pool.FinishAsync(waits);
        await pool.AdvanceUntilAsync("the note in the log", _ => pool.Log.Of(1009).Any(), 50);
        for (int i = 0; i < 10; i++)
        {
            Assert.False(pool.Pool.TryRent(out _, out _));
            await pool.AdvanceAsync(TimeSpan.FromSeconds(1));
        }

        Assert.Equal((1, 3), (pool.Counts.Opening, pool.Server.CallsOf(Step.Open)));
        pool.Return(held);
        pool.Server.AnswerNew(Step.Open);
        pool.Server.Finish(lost, new FakeDbException(DriverFailure.Connection, "lost"));
        await pool.AdvanceUntilAsync("good health", _ => pool.Source.Health.IsHealthy, 50);
    }, o => { o.RentTimeout = TimeSpan.FromMinutes(1); o.IdleTimeout = TimeSpan.FromHours(1); });

    [Fact]
    public Task RentAsync_AnOpenWasLostUnderALeaseAndNothingIsOpen_SaysWhyAtOnce() => LeasedAsync(async pool =>
    {
        FakeCall lost = await LoseOneAsync(pool);
        pool.Source.Clear();
        await pool.UntilAsync("nothing open", c => c is { Idle: 0, Closing: 0 });
        Task<RentOutcome> rent = pool.Rent();
        Assert.True(rent.IsCompleted);
        RentRefusal refusal = (await rent).Refusal!;
        Assert.Equal(RefusalReason.Unavailable, refusal.Reason);
        Assert.Contains("has not answered an open", refusal.Message, StringComparison.Ordinal);
        Assert.False(pool.Source.Health.IsHealthy);
        pool.Server.Finish(lost, null);
        await pool.UntilAsync("good health", _ => pool.Source.Health.IsHealthy);
        pool.Return(await pool.RentedAsync());
    }, o => o.MaxConnections = 2);

    [Fact]
    public Task Change_ItsOpenWasLost_IsTriedAgainBesideIt() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        pool.Server.Hold(Step.OpenChanged);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        await pool.HeldAsync(Step.OpenChanged);
        pool.Server.AnswerNew(Step.OpenChanged);
        await pool.AdvanceUntilAsync("the fault", _ => pool.Log.Of(1001).Any(), 50);

        // Another session is answered, so the open with the changed credentials was lost.
        pool.Advance(1);
        pool.Return(await pool.FinishAsync(pool.Rent()));
        await pool.AdvanceUntilAsync("the change", _ => change.IsCompleted, 500);
        Assert.True(await change);
        pool.Server.Answer(Step.OpenChanged);
        await pool.AdvanceUntilAsync("rest", c => c is { Opening: 0, Closing: 0 });
    }, o => { o.MaxConnections = 3; o.IdleTimeout = TimeSpan.FromHours(1); });

    [Fact]
    public Task Change_FormerAndChangedFail_TriesAreAsSlowAsProbes() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open);
        pool.Server.Fail(Step.OpenChanged);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        Assert.False(await pool.FinishAsync(change));
        _ = pool.Rent();
        await pool.AdvanceUntilAsync("the longest pause", _ => pool.Server.CallsOf(Step.Open) > 8);
        (int opens, int tries) = (pool.Server.CallsOf(Step.Open), pool.Server.CallsOf(Step.OpenChanged));

        // A try must not shorten the pause: an unreachable server would see 20 attempts a second.
        for (int i = 0; i < 100; i++) await pool.AdvanceAsync(TimeSpan.FromMilliseconds(100));
        Assert.InRange(pool.Server.CallsOf(Step.Open) - opens, 5, 21);
        Assert.InRange(pool.Server.CallsOf(Step.OpenChanged) - tries, 1, 21);
        pool.Server.Answer(Step.Open, Step.OpenChanged);
        await pool.AdvanceUntilAsync("good health", _ => pool.Source.Health.IsHealthy, 100);
    });

    [Fact]
    public Task Change_AllUsedAndAnOpenStaysUnanswered_WorkingConnectionsAreKept() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome one = await pool.RentedAsync();
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> waits = pool.Rent(pool.In(10));
        FakeCall open = await pool.HeldAsync(Step.Open);
        await pool.AdvanceUntilAsync("the fault", _ => pool.Pool.Problem is not null, 50);
        await pool.FinishAsync(waits);
        _ = pool.Source.ChangeConnectionStringAsync("second");

        // The only probe is in progress, so the changed credentials cannot be tried now: no connection makes room for
        // them.
        pool.ReturnUnused(one);
        Assert.Equal(0, pool.Counts.Closing);
        pool.Server.Finish(open, new FakeDbException(DriverFailure.Connection, "lost"));
        pool.Server.Answer(Step.Open);
        await pool.AdvanceUntilAsync("good health", _ => pool.Source.Health.IsHealthy, 100);
    }, o => o.ValidationInterval = TimeSpan.FromHours(1));

    /// <summary>Changes the credentials; the process stops just before the open is sent, until after the lease's
    /// end.</summary>
    private static Task<bool> ChangeAndStop(PoolHarness pool, string credentials) =>
        ChangeAnd(pool, credentials, () => pool.Jump(12_000));

    /// <summary>Changes the credentials; the action runs after the open began and before its last reading of the clock,
    /// which is on another thread.</summary>
    private static Task<bool> ChangeAnd(PoolHarness pool, string credentials, Action happens)
    {
        int here = Environment.CurrentManagedThreadId, happened = 0;
        pool.Clock.Reading = () =>
        {
            if (Environment.CurrentManagedThreadId == here || Interlocked.Exchange(ref happened, 1) != 0) return;

            happens();
        };
        Task<bool> change = pool.Source.ChangeConnectionStringAsync(credentials);

        // Block this thread: an await might continue on another thread and be taken for the open.
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref happened) != 0, PoolHarness.Patience));
        pool.Clock.Reading = null;
        return change;
    }

    /// <summary>One connection is idle; the server never answers one open and answers the others.</summary>
    private static async Task<FakeCall> LoseOneAsync(PoolHarness pool)
    {
        pool.Grant(2, TimeSpan.FromHours(1).TotalMilliseconds);
        RentOutcome held = await pool.RentedAsync();
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> waits = pool.Rent(pool.In(10));
        FakeCall lost = await pool.HeldAsync(Step.Open);
        pool.Server.AnswerNew(Step.Open);
        pool.Advance(30);
        await pool.FinishAsync(waits);
        pool.Return(held);
        await pool.UntilAsync("idle", c => c.Idle == 1);
        await pool.AdvanceUntilAsync("the note in the log", _ => pool.Log.Of(1009).Any(), 50);
        return lost;
    }
}
