using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Another server answers in place of the former one: permits count for each server separately.</summary>
public sealed class SwitchOverTests
{
    [Fact]
    public Task ServerChanged_FormerSessionsLiveOn_AllPermitsAreFreeOnTheNewOne() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        RentOutcome stuck = await pool.RentedAsync();
        pool.Server.Hold(Step.Close);
        pool.Server.SwitchOver();

        // The idle one closes at once, the used one at its return; neither holds a permit on this server.
        Assert.Equal((1, 2), (pool.Counts.Used, pool.Counts.Elsewhere));
        RentOutcome[] rented = [await pool.RentedAsync(), await pool.RentedAsync()];
        Assert.Equal(2, pool.Server.Sessions);
        Assert.All(rented, r => Assert.False(r.Connection!.IsElsewhere));
        foreach (RentOutcome one in rented) pool.Return(one);
        pool.Return(stuck);
        await pool.UntilAsync("idle", c => c is { Idle: 2, Used: 0, Closing: 0, Elsewhere: 2 });
        pool.Server.Answer(Step.Close);
        await pool.UntilAsync("gone", c => c.Elsewhere == 0);
    });

    [Fact]
    public Task ServerChanged_FormerOneComesBack_ItsSessionsCountAgain() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        pool.Server.Hold(Step.Close);
        pool.Server.SwitchOver();
        await pool.UntilAsync("elsewhere", c => c is { Idle: 0, Elsewhere: 2, Closing: 0 });
        FakeCall first = await pool.HeldAsync(Step.Close);
        await pool.HeldAsync(Step.Close);
        pool.Server.SwitchOver();
        Assert.Equal((2, 0), (pool.Counts.Closing, pool.Counts.Elsewhere));
        Task<RentOutcome> rent = pool.Rent();
        Assert.Equal(0, pool.Counts.Opening);
        pool.Server.Finish(first, null);
        pool.Return(await pool.FinishAsync(rent));
        pool.Server.Answer(Step.Close);
        await pool.UntilAsync("gone", c => c is { Closing: 0, Used: 0 });
    });

    [Fact]
    public Task ServerChanged_WithPending_TheyAreServedByTheNewOneAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome one = await pool.RentedAsync(), two = await pool.RentedAsync();
        Task<RentOutcome> waits = pool.Rent();
        Assert.Equal(0, pool.Counts.Opening);
        pool.Server.SwitchOver();
        RentOutcome served = await pool.FinishAsync(waits, "a session with the new server");
        pool.Return(served);
        pool.Return(one);
        pool.Return(two);
        await pool.UntilAsync("rest", c => c is { Used: 0, Closing: 0, Elsewhere: 0 });
    });

    [Fact]
    public Task ServerChanged_DuringAnOpen_ItsSessionIsNotUsed() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        FakeCall open = await pool.HeldAsync(Step.Open);
        pool.Server.SwitchOver();
        pool.Server.AnswerNew(Step.Open);
        pool.Server.Finish(open, null);
        RentOutcome rented = await pool.FinishAsync(rent);
        Assert.Same(pool.Server.Connections[1], rented.Connection);
        pool.Return(rented);
        await pool.UntilAsync("closed", c => c.Closing == 0);
    });

    [Fact]
    public Task DrainAsync_SessionsOfAFormerServerRemain_DoesNotWaitAndSaysThatNobodyKnows() =>
        PoolHarness.RunAsync(async pool =>
        {
            await pool.WarmAsync(2);
            pool.Server.Hold(Step.Close);
            pool.Server.SwitchOver();
            await pool.UntilAsync("elsewhere", c => c is { Elsewhere: 2, Closing: 0 });
            pool.IsDrained = true;
            Assert.False(await pool.FinishAsync(pool.Source.DrainAsync(TimeSpan.Zero)));
            pool.Server.Answer(Step.Close);
            await pool.UntilAsync("gone", c => c.Elsewhere == 0);
        });

    [Fact]
    public Task ReadLeaseUse_SessionsOfAFormerServer_AreNotOfThisLease() => LeaseTests.LeasedAsync(async pool =>
    {
        pool.Grant(2);
        RentOutcome used = await pool.RentedAsync(), broken = await pool.RentedAsync();
        pool.Server.Hold(Step.Close);
        broken.Connection!.MustDiscard = true;
        pool.Return(broken);
        await pool.HeldAsync(Step.Close);
        pool.Server.SwitchOver();
        Assert.Equal(0, pool.Source.ReadLeaseUse().Sessions);
        pool.Return(used);
        pool.Server.Answer(Step.Close);
        await pool.UntilAsync("gone", c => c is { Elsewhere: 0, Used: 0 });
    });
}
