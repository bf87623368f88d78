using System.Diagnostics.Metrics;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>The first connection: a start waits for it with its own timeout, not a request's.</summary>
public sealed class StartTests
{
    [Fact]
    public Task StartAsync_OpenTakesLongerThanARentWaits_WaitsForIt() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task start = pool.Source.StartAsync();
        await pool.HeldAsync(Step.Open);
        await pool.AdvanceAsync(TimeSpan.FromMilliseconds(1_900));
        Assert.False(start.IsCompleted);
        pool.Server.Answer(Step.Open);
        await pool.FinishAsync(start, "the start");
        Assert.Equal(1, pool.Counts.Idle);
        Assert.Equal(0, pool.Pool.Snapshot().TimedOut);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task StartAsync_ServerDoesNotAnswer_EndsWithTheOpenTimeout() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task start = pool.Source.StartAsync();
        await pool.HeldAsync(Step.Open);
        await pool.AdvanceUntilAsync("the start", _ => start.IsCompleted, 50);
        Assert.False(pool.Source.Health.IsHealthy);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task StartAsync_NoPermits_ReturnsAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        pool.SetPermits(0);
        await pool.FinishAsync(pool.Source.StartAsync(), "the start");
    });

    [Fact]
    public Task OpenFirstAsync_OpensFailForAWhile_WaitsUntilOneSucceeds() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open, times: 3);
        Task<bool> open = pool.Source.OpenFirstAsync(TimeSpan.FromMinutes(1));
        await pool.AdvanceUntilAsync("the first connection", _ => open.IsCompleted);
        Assert.True(await open);
        Assert.Equal(4, pool.Server.CallsOf(Step.Open));
        Assert.True(await pool.Source.OpenFirstAsync(TimeSpan.FromMinutes(1)));
    });

    [Fact]
    public Task OpenFirstAsync_TimeIsOver_SaysNo() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open);
        Task<bool> open = pool.Source.OpenFirstAsync(TimeSpan.FromSeconds(5));
        await pool.AdvanceUntilAsync("the end", _ => open.IsCompleted, 100);
        Assert.False(await open);
    });

    [Fact]
    public Task OpenFirstAsync_LeaseComesLater_OpensThen() => LeaseTests.LeasedAsync(async pool =>
    {
        Task<bool> open = pool.Source.OpenFirstAsync(TimeSpan.FromMinutes(1));
        await pool.AdvanceAsync(TimeSpan.FromSeconds(1));
        Assert.False(open.IsCompleted);
        pool.Grant(1);
        Assert.True(await pool.FinishAsync(open));
    });

    [Fact]
    public Task OpenFirstAsync_PermitsComeLater_OpensThen() => PoolHarness.RunAsync(async pool =>
    {
        pool.SetPermits(0);
        Task<bool> open = pool.Source.OpenFirstAsync(TimeSpan.FromMinutes(1));
        Assert.False(open.IsCompleted);
        pool.SetPermits(2);
        Assert.True(await pool.FinishAsync(open));
        await pool.UntilAsync("idle", c => c.Idle == 1);
    });

    [Fact]
    public Task OpenFirstAsync_PoolDrainsOrIsCancelled_Ends() => PoolHarness.RunAsync(async pool =>
    {
        pool.SetPermits(0);
        using var cancel = new CancellationTokenSource();
        Task<bool> cancelled = pool.Source.OpenFirstAsync(TimeSpan.FromMinutes(1), cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(cancelled));
        Task<bool> open = pool.Source.OpenFirstAsync(TimeSpan.FromMinutes(1));
        pool.IsDrained = true;
        Assert.True(await pool.FinishAsync(pool.Source.DrainAsync(TimeSpan.Zero)));
        Assert.False(await pool.FinishAsync(open));
        Assert.False(await pool.Source.OpenFirstAsync(TimeSpan.FromMinutes(1)));
    });

    [Fact]
    public Task RentAsync_FirstConnectionsAreStillBeingOpened_SaysThat() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Open);
        Task<RentOutcome> rent = pool.Rent();
        await pool.HeldAsync(Step.Open);
        pool.Advance(410);
        string words = (await pool.FinishAsync(rent)).Refusal!.Message;
        Assert.Contains("The first connections are still being opened", words, StringComparison.Ordinal);
        Assert.DoesNotContain("Raise MaxConnections", words, StringComparison.Ordinal);
        pool.Server.Answer(Step.Open);
    });

    [Fact]
    public async Task Options_EditedLater_ThePoolKeepsThoseItWasMadeWith()
    {
        var options = new PoolOptions { Name = "users", MaxConnections = 3, MaxPending = 0 };
        await using var source = new PooledDataSource(options, new FakeConnector(), new ManualClock(), null);
        (options.Name, options.MaxConnections, options.MaxPending) = ("others", 1, 5);
        Assert.Equal(("users", 3), (source.Name, source.MaxConnections));
        Assert.Equal(RefusalReason.QueueFull, (await source.RentAsync()).Refusal);
    }

    [Fact]
    public Task Listener_AsksThePoolFromAnotherThread_IsAnswered() => PoolHarness.RunAsync(async pool =>
    {
        int asked = 0;
        using var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, l) =>
            {
                if (instrument.Meter.Name == PooledDataSource.MeterName) l.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) => Ask(tags));
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) => Ask(tags));
        listener.Start();

        // Rents that find an idle connection, wait, time out, or are refused; and a connection that closes.
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome> leaves = pool.Rent(pool.In(10)), waits = pool.Rent();
        Assert.NotNull((await pool.FinishAsync(pool.Rent())).Refusal);
        pool.Jump(20);
        pool.Return(held);
        Assert.NotNull((await pool.FinishAsync(leaves)).Refusal);
        held = await pool.FinishAsync(waits);
        held.Connection!.MustDiscard = true;
        pool.Return(held);
        await pool.UntilAsync("closed", c => c.Closing == 0);
        Assert.InRange(asked, 6, 100);

        // If the pool's lock were held, another thread would block here.
        void Ask(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            foreach ((string _, object? value) in tags)
            {
                if (!ReferenceEquals(value, pool.Options.Name)) continue;

                Interlocked.Increment(ref asked);
                var other = new Thread(() => _ = pool.Counts);
                other.Start();
                if (!other.Join(PoolHarness.Patience)) pool.Server.Violate("a listener was called under the lock");
            }
        }
    }, o => { o.MaxConnections = 1; o.MaxPending = 2; o.Name = Guid.NewGuid().ToString(); });
}
