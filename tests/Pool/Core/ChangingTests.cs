using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Changed credentials are tried with one open, within the permits, before any working connection is given
/// up.</summary>
public sealed class ChangingTests
{
    [Fact]
    public Task Change_Accepted_IdleCloseAndTheNextAreOpenedWithIt() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        Assert.True(await pool.FinishAsync(pool.Source.ChangeConnectionStringAsync("second")));
        await pool.UntilAsync("closed", c => c is { Closing: 0, Opening: 0, Idle: 1, Used: 0 });
        RentOutcome one = await pool.RentedAsync(), two = await pool.RentedAsync();
        Assert.Equal(("second", "second"), (CredentialsOf(one), CredentialsOf(two)));
        Assert.Equal(2, pool.Pool.Snapshot().Closed["cleared"]);
        Assert.Single(pool.Log.Of(1011));
        pool.Return(one);
        pool.Return(two);
    });

    [Fact]
    public Task Change_NothingOpen_IsTriedAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        Assert.True(await pool.FinishAsync(pool.Source.ChangeConnectionStringAsync("second")));
        Assert.Equal((0, 1), (pool.Server.CallsOf(Step.Open), pool.Server.CallsOf(Step.OpenChanged)));
    });

    [Fact]
    public Task Change_AllRented_TheyStayUntilTheyComeBack() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome one = await pool.RentedAsync(), two = await pool.RentedAsync();
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        Assert.False(change.IsCompleted);
        Assert.Equal(0, pool.Server.CallsOf(Step.OpenChanged));
        pool.Return(one);
        Assert.True(await pool.FinishAsync(change));
        Assert.Equal(((FakePhysicalConnection)two.Connection!).RentId, two.RentId);
        pool.Return(two);
        await pool.UntilAsync("closed", c => c is { Closing: 0, Used: 0 });
        Assert.Equal(2, pool.Pool.Snapshot().Closed["cleared"]);
    });

    [Fact]
    public Task Change_OnePermitAndManyPending_AllAreServed() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome>[] rents = [.. Enumerable.Range(0, 5).Select(_ => pool.Rent())];
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        pool.Return(held);
        foreach (Task<RentOutcome> rent in rents)
        {
            RentOutcome rented = await pool.FinishAsync(rent);
            Assert.Equal("second", CredentialsOf(rented));
            pool.Return(rented);
        }

        Assert.True(await change);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Change_OpenUnderWayWithTheFormer_IsClosedWhenItArrives() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        FakeCall former = await pool.HeldAsync(Step.Open);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");

        // No try beside an open in progress; a later check by the maintenance finds room.
        await pool.AdvanceUntilAsync("the open's lateness", _ => change.IsCompleted || rent.IsCompleted, 1);
        pool.Server.Finish(former, null);
        await pool.AdvanceUntilAsync("the change", _ => change.IsCompleted, 100);
        Assert.True(await change);
        RentOutcome rented = await pool.FinishAsync(rent);
        if (rented.Connection is not null) pool.Return(rented);
        await pool.AdvanceUntilAsync("rest", c => c is { Used: 0, Opening: 0, Closing: 0 });
        RentOutcome next = await pool.RentedAsync();
        Assert.Equal("second", CredentialsOf(next));
        pool.Return(next);
    });

    [Fact]
    public Task Change_Refused_GoesOnWithTheFormerAndTriesAgain() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        pool.Server.Fail(Step.OpenChanged, DriverFailure.Statement);
        Assert.False(await pool.FinishAsync(pool.Source.ChangeConnectionStringAsync("second")));
        Assert.Contains("The changed credentials do not work yet", pool.Source.Health.Problem,
            StringComparison.Ordinal);
        Assert.DoesNotContain("second", pool.Source.Health.Problem, StringComparison.Ordinal);
        Assert.Single(pool.Log.Of(1010));

        // One connection made room and is reopened when needed, with the working credentials.
        await pool.AdvanceUntilAsync("the pause", c => c is { Closing: 0, Opening: 0 });
        RentOutcome one = await pool.RentedAsync(), two = await pool.RentedAsync();
        Assert.Equal(("first", "first"), (CredentialsOf(one), CredentialsOf(two)));
        pool.Return(one);
        pool.Return(two);
        await pool.UntilAsync("idle", c => c.Idle == 2);

        // The account is corrected on the server.
        pool.Server.Answer(Step.OpenChanged);
        await pool.AdvanceUntilAsync("the next try", _ => pool.Source.Health.IsHealthy, 1000);
        await pool.AdvanceUntilAsync("rest", c => c is { Closing: 0, Opening: 0 });
        RentOutcome next = await pool.RentedAsync();
        Assert.Equal("second", CredentialsOf(next));
        Assert.Single(pool.Log.Of(1010));
        Assert.Single(pool.Log.Of(1011));
        pool.Return(next);
    }, o => o.IdleTimeout = TimeSpan.FromHours(1));

    [Fact]
    public Task Change_RefusedWhileTheFormerStillWork_NobodyIsRefused() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        pool.Server.Fail(Step.OpenChanged, DriverFailure.Statement);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        Task<RentOutcome> rent = pool.Rent();
        pool.Return(held);
        Assert.False(await pool.FinishAsync(change));
        await pool.AdvanceUntilAsync("the rent", _ => rent.IsCompleted);
        RentOutcome rented = await rent;
        Assert.Equal("first", CredentialsOf(rented));
        pool.Return(rented);
        pool.Server.Answer(Step.OpenChanged);
        await pool.AdvanceUntilAsync("the next try", _ => pool.Source.Health.IsHealthy, 1000);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Change_TheFormerFailFirst_IsTriedNext() => PoolHarness.RunAsync(async pool =>
    {
        // The file changed before the account; the account then changes before the next try.
        pool.Server.Fail(Step.OpenChanged, DriverFailure.Statement, times: 1);
        Assert.False(await pool.FinishAsync(pool.Source.ChangeConnectionStringAsync("second")));
        pool.Server.Fail(Step.Open, DriverFailure.Statement);
        long startedAt = pool.Clock.GetTimestamp();
        await pool.AdvanceUntilAsync("the pause", c => c is { Closing: 0, Opening: 0 });
        Task<RentOutcome> rent = pool.Rent();
        await pool.AdvanceUntilAsync("the change", _ => pool.Log.Of(1011).Any(), 10);
        RentOutcome rented = await pool.FinishAsync(rent);
        if (rented.Connection is not null) pool.Return(rented);
        Assert.True(pool.Clock.GetElapsedTime(startedAt).TotalSeconds < 5, "The change waited for the next try.");
        pool.Server.Answer(Step.Open);
    });

    [Fact]
    public Task Change_ServerDoesNotAnswer_WaitsForItsAnswer() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.OpenChanged);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        FakeCall open = await pool.HeldAsync(Step.OpenChanged);
        await pool.AdvanceUntilAsync("the fault", _ => !pool.Source.Health.IsHealthy, 100);
        Assert.False(change.IsCompleted);
        pool.Server.Answer(Step.OpenChanged);
        Assert.NotNull(open);
        Assert.True(await pool.FinishAsync(change));
        Assert.True(pool.Source.Health.IsHealthy);
    });

    [Fact]
    public Task Change_UnansweredAndThenLost_ThePoolGoesOnWithTheFormer() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.OpenChanged);
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        FakeCall open = await pool.HeldAsync(Step.OpenChanged);
        await pool.AdvanceUntilAsync("the fault", _ => !pool.Source.Health.IsHealthy, 100);
        pool.Server.Finish(open, new FakeDbException(DriverFailure.Connection, "lost"));
        Assert.False(await pool.FinishAsync(change));
        await pool.AdvanceUntilAsync("the pause", c => c.Closing == 0);
        RentOutcome rented = await pool.RentedAsync();
        Assert.Equal("first", CredentialsOf(rented));
        pool.Return(rented);
        pool.Server.Answer(Step.OpenChanged);
        await pool.AdvanceUntilAsync("the next try", _ => pool.Source.Health.IsHealthy, 1000);
    });

    [Fact]
    public Task Change_AnotherComesFirst_TheLastOneCounts() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.OpenChanged);
        Task<bool> second = pool.Source.ChangeConnectionStringAsync("second");
        FakeCall opening = await pool.HeldAsync(Step.OpenChanged);
        Task<bool> third = pool.Source.ChangeConnectionStringAsync("third");
        Assert.False(await pool.FinishAsync(second));
        pool.Server.Finish(opening, null);
        pool.Server.Answer(Step.OpenChanged);
        await pool.AdvanceUntilAsync("the change", _ => third.IsCompleted, 100);
        Assert.True(await third);
        await pool.AdvanceUntilAsync("rest", c => c is { Closing: 0, Opening: 0, Used: 0 });
        RentOutcome rented = await pool.RentedAsync();
        Assert.Equal("third", CredentialsOf(rented));
        pool.Return(rented);
    });

    [Fact]
    public Task Change_PoolDrains_AnswersFalse() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        Task<bool> change = pool.Source.ChangeConnectionStringAsync("second");
        pool.IsDrained = true;
        Task<bool> drain = pool.Source.DrainAsync(TimeSpan.FromSeconds(1));
        Assert.False(await pool.FinishAsync(change));
        pool.Return(held);
        Assert.True(await pool.FinishAsync(drain));
        Assert.False(await pool.Source.ChangeConnectionStringAsync("third"));
    }, o => o.MaxConnections = 1);

    private static string CredentialsOf(RentOutcome rented) =>
        ((FakePhysicalConnection)rented.Connection!).Credentials;
}
