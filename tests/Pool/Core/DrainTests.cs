using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

public sealed class DrainTests
{
    [Fact]
    public Task DrainAsync_NobodyHolds_ClosesAllAndRefusesNewRents() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        await pool.WarmAsync(2);
        Assert.True(await pool.FinishAsync(pool.Source.DrainAsync(TimeSpan.Zero)));
        Assert.Equal(0, pool.Server.Sessions);
        Assert.Equal(2, pool.Pool.Snapshot().Closed["drained"]);

        Task<RentOutcome> rent = pool.Rent();
        Assert.True(rent.IsCompleted);
        Assert.Equal(RefusalReason.Draining, (await rent).Refusal!.Reason);
        Assert.False(pool.Source.TryRent(out _));
        Assert.Empty(pool.Log.Of(1006));
    });

    [Fact]
    public Task DrainAsync_EmptyPool_IsDoneAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        Assert.True(await pool.FinishAsync(pool.Source.DrainAsync(TimeSpan.Zero)));
        Assert.True(await pool.FinishAsync(pool.Source.DrainAsync(TimeSpan.FromSeconds(1))));
    });

    [Fact]
    public Task DrainAsync_Holders_AreLetFinish() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        PooledConnection held = await pool.OpenedAsync();
        Task<RentOutcome>[] pending = [pool.Rent(), pool.Rent()];
        Task<bool> drain = pool.Source.DrainAsync(TimeSpan.FromSeconds(5));
        foreach (RentOutcome outcome in await pool.FinishAsync(Task.WhenAll(pending)))
            Assert.Equal(RefusalReason.Draining, outcome.Refusal!.Reason);

        pool.Advance(1000);
        using (var command = held.CreateCommand())
            Assert.Equal(1, await command.ExecuteNonQueryAsync());
        Assert.False(drain.IsCompleted);
        await held.DisposeAsync();
        Assert.True(await pool.FinishAsync(drain));
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task DrainAsync_HolderStays_IsSeveredAndItsStatementEnds() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        PooledConnection idler = await pool.OpenedAsync();
        PooledConnection busy = await pool.OpenedAsync();
        pool.Server.Hold(Step.Statement);
        using var command = busy.CreateCommand();
        Task<int> statement = command.ExecuteNonQueryAsync();
        Task<bool> drain = pool.Source.DrainAsync(TimeSpan.FromSeconds(5));
        await pool.AdvanceUntilAsync("the drain", _ => drain.IsCompleted, 100);

        Assert.True(await drain);
        var cutOff = await Assert.ThrowsAsync<ConnectionSeveredException>(() => pool.FinishAsync(statement));
        Assert.Contains("Pool 'users': the connection was taken away", cutOff.Message, StringComparison.Ordinal);
        Assert.Equal(FailureKind.ConnectionLost, pool.Source.Classify(cutOff));
        using var late = idler.CreateCommand();
        await Assert.ThrowsAsync<ConnectionSeveredException>(() => late.ExecuteNonQueryAsync());
        Assert.Single(pool.Log.Of(1006));
        await idler.DisposeAsync();
        await busy.DisposeAsync();
    });

    [Fact]
    public Task DrainAsync_ServerDoesNotConfirm_SaysFalseInTime() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        await pool.WarmAsync(1);
        pool.Server.Hold(Step.Close);
        long startedAt = pool.Clock.GetTimestamp();
        Task<bool> drain = pool.Source.DrainAsync(TimeSpan.FromSeconds(1));
        await pool.AdvanceUntilAsync("the drain", _ => drain.IsCompleted);
        Assert.False(await drain);
        Assert.InRange(pool.Clock.GetElapsedTime(startedAt).TotalMilliseconds, 2990, 3500);
        Assert.Equal(1, pool.Counts.Closing);
    });

    [Fact]
    public Task DrainAsync_OpenUnderWay_ClosesItWhenItComes() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        Task<bool> drain = pool.Source.DrainAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(RefusalReason.Draining, (await pool.FinishAsync(rent)).Refusal!.Reason);
        Assert.False(drain.IsCompleted);
        pool.Server.Finish(open, null);
        Assert.True(await pool.FinishAsync(drain));
        Assert.Equal(0, pool.Server.Sessions);
    });

    [Fact]
    public Task DrainAsync_ServerAway_EndsAndStopsTrying() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        pool.Server.Fail(Step.Open);
        await pool.FinishAsync(pool.Rent());
        Task<bool> drain = pool.Source.DrainAsync(TimeSpan.FromSeconds(10));
        await pool.AdvanceUntilAsync("the drain", _ => drain.IsCompleted);
        Assert.True(await drain);
        int opens = pool.Server.CallsOf(Step.Open);
        await pool.AdvanceAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(opens, pool.Server.CallsOf(Step.Open));
    });

    [Fact]
    public Task DisposeAsync_NotDrained_SaysSoAndLetsGoOfTheConnector() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        await pool.WarmAsync(1);
        pool.Server.Hold(Step.Close);
        Task disposing = pool.Source.DisposeAsync().AsTask();
        await pool.AdvanceUntilAsync("the disposal", _ => disposing.IsCompleted, 100);
        await disposing;
        Assert.Single(pool.Log.Of(1007));
        Assert.True(pool.Server.IsDisposed);
    });
}
