using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>A rent that executed nothing leaves the session as it was: no reset is needed.</summary>
public sealed class UnusedRentTests
{
    private static readonly FixedSelect Select = new("SELECT `id` FROM `t`");

    [Fact]
    public Task Return_NothingExecuted_IsIdleAtOnceWithoutACall() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        int resets = pool.Server.CallsOf(Step.Reset);
        for (int round = 0; round < 3; round++)
        {
            await (await pool.OpenedAsync()).DisposeAsync();
            Assert.Equal((1, 0), (pool.Counts.Idle, pool.Counts.Used));
        }

        Assert.Equal(resets, pool.Server.CallsOf(Step.Reset));
        Assert.Equal(0, pool.Server.CallsOf(Step.Ping));
    });

    [Fact]
    public Task Return_NothingExecutedByANoResetRent_AnyRentMayHaveItAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        RentOutcome first = await pool.FinishAsync(pool.Rent(select: Select));
        Task<RentOutcome> second = pool.Rent();
        pool.ReturnUnused(first);
        RentOutcome rented = await pool.FinishAsync(second);
        Assert.Same(first.Connection, rented.Connection);
        Assert.Equal(1, pool.Server.CallsOf(Step.Reset));
        pool.ReturnUnused(rented);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Return_NothingExecutedAfterANoResetRent_OrdinaryRentsStillWaitForAReset() => PoolHarness.RunAsync(
        async pool =>
        {
            await pool.WarmAsync(1);
            RentOutcome used = await pool.FinishAsync(pool.Rent(select: Select));
            used.Connection!.HasExecuted = true;
            pool.ReturnUnused(used);
            pool.ReturnUnused(await pool.FinishAsync(pool.Rent(select: Select)));

            pool.Server.Hold(Step.Reset);
            Task<RentOutcome> ordinary = pool.Rent();
            FakeCall reset = await pool.HeldAsync(Step.Reset);
            Assert.False(ordinary.IsCompleted);
            pool.Server.Finish(reset, null);
            pool.ReturnUnused(await pool.FinishAsync(ordinary));
        }, o => o.MaxConnections = 1);

    [Fact]
    public Task Return_ServerNotHeardOfForLong_IsResetAsASignOfLife() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        int resets = pool.Server.CallsOf(Step.Reset);

        // Two rents, each shorter than the interval; together they are longer.
        for (int round = 0; round < 2; round++)
        {
            RentOutcome rented = await pool.RentedAsync();
            pool.Advance(300);
            pool.ReturnUnused(rented);
        }

        await pool.UntilAsync("idle", c => c.Idle == 1);
        Assert.Equal(resets + 1, pool.Server.CallsOf(Step.Reset));
    }, o => o.ValidationInterval = TimeSpan.FromMilliseconds(500));

    [Fact]
    public Task Return_NothingExecutedButUnwrapped_IsDiscarded() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        connection.Unwrap<FakeDbConnection>();
        connection.Close();
        await pool.UntilAsync("closed", c => c is { Idle: 0, Used: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
    });
}
