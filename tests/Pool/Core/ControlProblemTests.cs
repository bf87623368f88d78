using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>
/// The control connection has a problem, so nothing can confirm that closed sessions are gone. That holds the permits
/// of closing sessions and nothing else.
/// </summary>
public sealed class ControlProblemTests
{
    private const string Problem = "Nobody answers the control connection.";

    [Fact]
    public Task RentAsync_NothingIsOpenAndAllPermitsAreFree_ThePoolOpens() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.SetProblem(Problem);
        RentOutcome rented = await pool.RentedAsync();
        Assert.Equal(Problem, pool.Source.Health.Problem);
        pool.Return(rented);
    });

    [Fact]
    public Task TryRent_NothingIsOpenAndAllPermitsAreFree_ThePoolOpens() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.SetProblem(Problem);
        Assert.False(pool.Pool.TryRent(out _, out _));
        await pool.UntilAsync("a connection", c => c.Idle == 1);
    });

    [Fact]
    public Task ProblemFound_OpenIsUnderWay_PendingIsServed() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        await pool.HeldAsync(Step.Open);
        pool.Server.SetProblem(Problem);
        Assert.False(rent.IsCompleted);
        pool.Server.Answer(Step.Open);
        RentOutcome rented = await pool.FinishAsync(rent);
        Assert.NotNull(rented.Connection);
        pool.Return(rented);
    });

    [Fact]
    public Task RentAsync_OnePermitIsHeldByAClose_TheOtherOpens() => PoolHarness.RunAsync(async pool =>
    {
        FakeCall close = await LoseOneAsync(pool);
        pool.Server.SetProblem(Problem);
        RentOutcome rented = await pool.RentedAsync();
        Assert.Equal(new PoolCounts(2, Used: 1, 0, 0, Closing: 1, 0), pool.Counts);
        pool.Return(rented);
        pool.Server.Finish(close, null);
    });

    [Fact]
    public Task RentAsync_AllPermitsAreHeldByCloses_IsUnavailableAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        FakeCall close = await LoseOneAsync(pool);
        pool.Server.SetProblem(Problem);
        Task<RentOutcome> rent = pool.Rent();
        Assert.True(rent.IsCompleted);
        Assert.Equal(RefusalReason.Unavailable, (await rent).Refusal!.Reason);
        Assert.EndsWith(Problem, (await rent).Refusal!.Message, StringComparison.Ordinal);
        pool.Server.SetProblem(null);
        pool.Server.Finish(close, null);
        await pool.UntilAsync("gone", c => c.Closing == 0);
        pool.Return(await pool.RentedAsync());
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task LastConnection_BeginsToClose_PendingHearAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        pool.Server.SetProblem(Problem);
        Task<RentOutcome> waits = pool.Rent();
        Assert.False(waits.IsCompleted);
        pool.Server.Hold(Step.Close);
        held.Connection!.MustDiscard = true;
        pool.Return(held);
        FakeCall close = await pool.HeldAsync(Step.Close);
        Assert.Equal(RefusalReason.Unavailable, (await pool.FinishAsync(waits)).Refusal!.Reason);
        pool.Server.Finish(close, null);
    }, o => { o.MaxConnections = 1; o.RentTimeout = TimeSpan.FromMinutes(1); });

    [Fact]
    public Task RentAsync_OpensFailToo_SaysWhyTheyFail() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.SetProblem(Problem);
        pool.Server.Fail(Step.Open);
        RentRefusal refusal = (await pool.FinishAsync(pool.Rent())).Refusal!;
        Assert.Equal(RefusalReason.Unavailable, refusal.Reason);
        Assert.Contains("failed with Connection", refusal.Message, StringComparison.Ordinal);
    });

    [Fact]
    public Task RentAsync_AllAreRented_SaysNothingOfTheControlConnection() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        pool.Server.SetProblem(Problem);
        Task<RentOutcome> waits = pool.Rent();
        pool.Advance(410);
        RentRefusal refusal = (await pool.FinishAsync(waits)).Refusal!;
        Assert.Equal(RefusalReason.TimedOut, refusal.Reason);
        Assert.DoesNotContain("The last open failed", refusal.Message, StringComparison.Ordinal);
        pool.Return(held);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task RentAsync_NoPermits_SaysNoPermitsInThePermitsWords() => PoolHarness.RunAsync(async pool =>
    {
        pool.SetPermits(0);
        pool.Server.SetProblem(Problem);
        Task<RentOutcome> rent = pool.Rent();
        pool.Advance(410);
        RentRefusal refusal = (await pool.FinishAsync(rent)).Refusal!;
        Assert.Equal(RefusalReason.NoPermits, refusal.Reason);
        Assert.EndsWith("MaxConnections was set to 0.", refusal.Message, StringComparison.Ordinal);
    });

    [Fact]
    public Task RentAsync_WithALeaseAndNothingOpen_ThePoolOpens() => LeaseTests.LeasedAsync(async pool =>
    {
        pool.Server.SetProblem(Problem);
        pool.Grant(2);
        pool.Return(await pool.RentedAsync());
    });

    [Fact]
    public Task Change_NothingIsOpen_IsTriedAllTheSame() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.SetProblem(Problem);
        Assert.True(await pool.FinishAsync(pool.Source.ChangeConnectionStringAsync("second")));
    });

    /// <summary>Rents a connection and returns it broken: it closes, and the server does not confirm its end.</summary>
    private static async Task<FakeCall> LoseOneAsync(PoolHarness pool)
    {
        RentOutcome held = await pool.RentedAsync();
        pool.Server.Hold(Step.Close);
        held.Connection!.MustDiscard = true;
        pool.Return(held);
        return await pool.HeldAsync(Step.Close);
    }
}
