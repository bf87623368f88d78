using Microsoft.Extensions.Time.Testing;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

public sealed class OperationTests : IDisposable
{
    private readonly FakeTimeProvider _clock = new();
    private readonly DeadlineWheel _wheel;
    private readonly Operation _operation = new();

    public OperationTests() => _wheel = new DeadlineWheel(_clock);

    public void Dispose() => _wheel.Dispose();

    [Fact]
    public async Task RaceAsync_DriverIsDone_CompletesAtOnce()
    {
        long run = _operation.Claim(_operation.CurrentRun);
        ValueTask<OperationEnd> end = _operation.RaceAsync(Task.CompletedTask, 0, _wheel, CancellationToken.None);
        Assert.True(end.IsCompleted);
        Assert.Equal(OperationEnd.Completed, await end);
        Assert.True(_operation.IsInFlight);
        _operation.Release(run);
        Assert.False(_operation.IsInFlight);
    }

    [Fact]
    public async Task RaceAsync_DriverCompletes_SettlesAndLeavesTheWheel()
    {
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end = Race(driver, 100);
        Assert.True(_operation.IsInFlight);
        Assert.Equal(1, _wheel.Count);
        driver.SetResult();
        Assert.Equal(OperationEnd.Completed, await end);
        Assert.False(_operation.IsInFlight);
        Assert.Equal(0, _wheel.Count);
        Assert.True(_operation.WhenSettled().IsCompleted);
    }

    [Fact]
    public async Task RaceAsync_DriverFails_CompletesToo()
    {
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end = Race(driver, 100);
        driver.SetException(new InvalidOperationException("driver"));
        Assert.Equal(OperationEnd.Completed, await end);
        Assert.False(_operation.IsInFlight);
    }

    [Fact]
    public async Task RaceAsync_DeadlinePasses_FreesTheCallerAndSettlesWithTheDriver()
    {
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end = Race(driver, 100);
        _clock.Advance(TimeSpan.FromMilliseconds(99));
        Assert.False(end.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(11));
        Assert.Equal(OperationEnd.Deadline, await InTime(end));
        Assert.True(_operation.IsInFlight);
        Task settled = _operation.WhenSettled();
        Assert.False(settled.IsCompleted);

        driver.SetResult();
        await InTime(settled);
        Assert.False(_operation.IsInFlight);
    }

    [Fact]
    public async Task RaceAsync_CallerHasNotTakenItsResult_IsNotSettledByTheDriverAlone()
    {
        var driver = new TaskCompletionSource();
        _operation.Claim(_operation.CurrentRun);
        ValueTask<OperationEnd> end = _operation.RaceAsync(driver.Task, 0, _wheel, CancellationToken.None);
        _operation.Sever();
        driver.SetResult();
        Task settled = _operation.WhenSettled();
        Assert.False(settled.IsCompleted);
        Assert.True(_operation.IsInFlight);
        Assert.Equal(OperationEnd.Closed, await end);
        await InTime(settled);
        Assert.False(_operation.IsInFlight);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RaceAsync_TokenCancelled_FreesTheCaller(bool before)
    {
        using var source = new CancellationTokenSource();
        if (before) source.Cancel();
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end = Race(driver, 0, source.Token);
        if (!before) source.Cancel();
        Assert.Equal(OperationEnd.Cancelled, await InTime(end));
        driver.SetResult();
        await InTime(_operation.WhenSettled());
    }

    [Fact]
    public async Task RaceAsync_Severed_IsNotArmedAgainBeforeTheDriverEnds()
    {
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end = Race(driver, 0);
        _operation.Sever();
        Assert.Equal(OperationEnd.Closed, await InTime(end));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Race(new TaskCompletionSource(), 0));

        // The late completion belongs to the first run and must not affect the second.
        driver.SetResult();
        await InTime(_operation.WhenSettled());
        var next = new TaskCompletionSource();
        Task<OperationEnd> second = Race(next, 0);
        Assert.False(second.IsCompleted);
        next.SetResult();
        Assert.Equal(OperationEnd.Completed, await InTime(second));
    }

    [Fact]
    public async Task OnDue_MeantForAnEarlierRun_IsTooEarlyForThisOne()
    {
        long first = _clock.GetTimestamp() + TimeSpan.FromMilliseconds(10).Ticks;
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end = Race(driver, 10);
        driver.SetResult();
        await end;

        var next = new TaskCompletionSource();
        Task<OperationEnd> second = Race(next, 1000);
        _operation.OnDue(first);
        Assert.False(second.IsCompleted);
        _operation.OnDue(first + TimeSpan.FromSeconds(1).Ticks);
        Assert.Equal(OperationEnd.Deadline, await InTime(second));
        next.SetResult();
    }

    [Fact]
    public async Task Cancel_OfAnEarlierRunsToken_DoesNotTouchThisOne()
    {
        using var earlier = new CancellationTokenSource();
        using var present = new CancellationTokenSource();
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end = Race(driver, 0, earlier.Token);
        driver.SetResult();
        await end;

        var next = new TaskCompletionSource();
        Task<OperationEnd> second = Race(next, 0, present.Token);
        earlier.Cancel();
        Assert.False(second.IsCompleted);
        next.SetResult();
        Assert.Equal(OperationEnd.Completed, await InTime(second));
    }

    [Fact]
    public async Task RaceAsync_EverythingAtOnce_EndsOnceAndSettlesOnce()
    {
        using var source = new CancellationTokenSource();
        for (int i = 0; i < 3000; i++)
        {
            var driver = new TaskCompletionSource();
            CancellationToken token = i % 3 == 0 ? source.Token : CancellationToken.None;
            Task<OperationEnd> end = Race(driver, 1, token);
            Task settled = _operation.WhenSettled();
            Assert.False(settled.IsCompleted, $"run {i} was settled while it was under way");
            int start = 0;
            Task[] racers =
            [
                Task.Run(() => { Meet(ref start); driver.SetResult(); }),
                Task.Run(() => { Meet(ref start); _operation.Sever(); }),
            ];
            if (i % 2 == 0) _clock.Advance(TimeSpan.FromMilliseconds(20));
            await InTime(Task.WhenAll(racers));
            await InTime(end);
            await InTime(settled);
            Assert.False(_operation.IsInFlight);
        }

        Assert.Equal(0, _wheel.Count);
    }

    [Fact]
    public async Task WhenSettled_AskedAsItSettles_LeavesNothingForTheNextRun()
    {
        for (int i = 0; i < 20_000; i++)
        {
            var driver = new TaskCompletionSource();
            Task<OperationEnd> end = Race(driver, 0);
            int start = 0;
            Task asked = Task.Run(() => { Meet(ref start); return _operation.WhenSettled(); });
            Meet(ref start);
            driver.SetResult();
            await InTime(end);
            await InTime(asked);

            // A flag left behind by the previous run would report "settled" here.
            var next = new TaskCompletionSource();
            Task<OperationEnd> second = Race(next, 0);
            Assert.False(_operation.WhenSettled().IsCompleted, $"run {i}: settled while it was under way");
            next.SetResult();
            await InTime(second);
        }
    }

    [Fact]
    public async Task Sever_ClaimedAndNotYetUnderWay_FreesTheCallerWhenHeBegins()
    {
        long run = _operation.Claim(_operation.CurrentRun);
        Assert.False(_operation.TryFence());
        _operation.Sever();
        Task settled = _operation.WhenSettled();
        var driver = new TaskCompletionSource();
        Task<OperationEnd> end =
            EndAsync(_operation.RaceAsync(driver.Task, 0, _wheel, CancellationToken.None), run);
        Assert.Equal(OperationEnd.Closed, await InTime(end));
        Assert.False(settled.IsCompleted);
        driver.SetResult();
        await InTime(settled);
        Assert.False(_operation.IsInFlight);
    }

    [Fact]
    public async Task Sever_ClaimedAndNothingBegun_SettlesWithTheRelease()
    {
        long run = _operation.Claim(_operation.CurrentRun);
        _operation.Sever();
        Task settled = _operation.WhenSettled();
        Assert.False(settled.IsCompleted);
        _operation.Release(run);
        await InTime(settled);
        Assert.False(_operation.IsInFlight);
    }

    [Fact]
    public void TryFence_BetweenTheLookAndTheClaim_RefusesTheClaim()
    {
        long seen = _operation.CurrentRun;
        Assert.True(_operation.TryFence());
        Assert.False(_operation.TryClaim(seen, out _));
        Assert.Throws<InvalidOperationException>(() => _operation.Claim(seen));
        Assert.False(_operation.IsInFlight);
        _operation.Release(_operation.Claim(_operation.CurrentRun));
    }

    [Fact]
    public void Release_OfAnEarlierClaim_DoesNotTouchThisOne()
    {
        long earlier = _operation.Claim(_operation.CurrentRun);
        _operation.Release(earlier);
        _operation.Claim(_operation.CurrentRun);
        _operation.Release(earlier);
        Assert.True(_operation.IsInFlight);
    }

    // Both tasks start together, so that they collide.
    private static void Meet(ref int arrived)
    {
        Interlocked.Increment(ref arrived);
        var spin = new SpinWait();
        while (Volatile.Read(ref arrived) < 2) spin.SpinOnce();
    }

    private static Task<T> InTime<T>(Task<T> task) => task.WaitAsync(PoolHarness.Patience);

    private static Task InTime(Task task) => task.WaitAsync(PoolHarness.Patience);

    private Task<OperationEnd> Race(TaskCompletionSource driver, double milliseconds, CancellationToken token = default)
    {
        long due = milliseconds == 0 ? 0 : Deadline.After(TimeSpan.FromMilliseconds(milliseconds), _clock).Timestamp;
        long run = _operation.Claim(_operation.CurrentRun);
        return EndAsync(_operation.RaceAsync(driver.Task, due, _wheel, token), run);
    }

    private async Task<OperationEnd> EndAsync(ValueTask<OperationEnd> race, long run)
    {
        OperationEnd end = await race;
        _operation.Release(run);
        return end;
    }
}
