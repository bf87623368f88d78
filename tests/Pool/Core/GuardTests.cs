using System.Data.Common;
using System.Diagnostics;
using System.Diagnostics.Metrics;

using Microsoft.Extensions.Time.Testing;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Exceptions of application code called by the pool cost no connection, no permit and no timer
/// (INV-7).</summary>
public sealed class GuardTests
{
    private const string Name = "guarded";

    [Fact]
    public Task Logger_ThrowsAtEachLine_NothingIsLost() => PoolHarness.RunAsync(async pool =>
    {
        pool.Log.Throws = true;

        // A reset, a close and an open that fail, then an open that succeeds.
        RentOutcome held = await pool.RentedAsync();
        pool.Server.Fail(Step.Reset, DriverFailure.Statement, times: 1);
        pool.Server.Fail(Step.Close, DriverFailure.Statement, times: 1);
        pool.Return(held);
        await pool.UntilAsync("replaced", c => c is { Used: 0, Closing: 0 });
        pool.Server.EndSession(0);
        pool.Server.Fail(Step.Open, times: 1);
        await pool.FinishAsync(pool.Rent());
        await pool.AdvanceUntilAsync("a connection", c => c.Idle == 1);

        // The maintenance reports on its timer, then goes on to prune.
        held = await pool.RentedAsync();
        pool.Advance(40_000);
        pool.Return(held);
        await pool.UntilAsync("idle", c => c.Idle == 1);
        await pool.AdvanceUntilAsync("pruned", c => c is { Idle: 0, Closing: 0 }, 1000);
        foreach (int line in (int[])[1001, 1002, 1003, 1004, 1005]) Assert.NotEmpty(pool.Log.Of(line));
    }, o => o.IdleTimeout = TimeSpan.FromSeconds(50));

    [Fact]
    public Task Listener_ThrowsAtEachMeasurement_NothingIsLost() => PoolHarness.RunAsync(async pool =>
    {
        using var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == PooledDataSource.MeterName) listener.EnableMeasurementEvents(instrument);
            },
        };
        int thrown = 0;
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) => Throw(tags));
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) => Throw(tags));
        listener.Start();

        RentOutcome held = await pool.RentedAsync();
        RentOutcome other = await pool.RentedAsync();
        Task<RentOutcome> late = pool.Rent(pool.In(50));
        Task<RentOutcome> rejected = pool.Rent(pool.In(50));
        Assert.Equal(RefusalReason.QueueFull, (await pool.FinishAsync(rejected)).Refusal!.Reason);
        pool.Advance(60);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(late)).Refusal!.Reason);
        held.Connection!.MustDiscard = true;
        pool.Return(held);
        pool.Return(other);
        await pool.UntilAsync("idle", c => c is { Idle: 1, Used: 0, Closing: 0 });
        Assert.True(thrown >= 8, $"{thrown} measurement callbacks threw");

        // The pools of other tests use the same meter.
        void Throw(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            foreach (KeyValuePair<string, object?> tag in tags)
            {
                if (!Equals(tag.Value, Name)) continue;

                Interlocked.Increment(ref thrown);
                throw new InvalidOperationException("a listener");
            }
        }
    }, o => { o.Name = Name; o.MaxPending = 1; });

    [Fact]
    public Task Listener_ThrowsAtTheEndOfASpan_StatementHasSucceeded() => PoolHarness.RunAsync(async pool =>
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == StatementTrace.SourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = static span =>
            {
                if (Equals(span.GetTagItem("db.client.connection.pool.name"), Name))
                    throw new InvalidOperationException("a listener");
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    }, o => o.Name = Name);

    [Fact]
    public Task PermitsWanted_HandlerThrows_IsABugInTheLogAndNoCrash() => PoolHarness.RunAsync(async pool =>
    {
        pool.Pool.PermitsWanted += static () => throw new InvalidOperationException("a handler");
        pool.Pool.Lease = new PoolLease(0, 1, long.MaxValue - 1, long.MaxValue);
        Task<RentOutcome> rent = pool.Rent(pool.In(50));
        await pool.UntilAsync("the line", _ => pool.Log.Of(1099).Any());
        pool.Advance(60);
        await pool.FinishAsync(rent);
        pool.Log.Entries.Clear();
        pool.Pool.Lease = new PoolLease(2, 2, long.MaxValue - 1, long.MaxValue);
    }, needsLease: true);

    [Fact]
    public void Wheel_EntryThrows_OthersAreToldThatTheyAreDue()
    {
        var clock = new FakeTimeProvider();
        List<Exception> blamed = [];
        using var wheel = new DeadlineWheel(clock, blamed.Add);
        Entry[] entries = [.. Enumerable.Range(0, 3).Select(i => new Entry(throws: i == 1))];
        foreach (Entry entry in entries) wheel.Add(entry, clock.GetTimestamp() + 1);
        clock.Advance(TimeSpan.FromMilliseconds(20));
        Assert.All(entries, entry => Assert.Equal(1, entry.Fired));
        Assert.Single(blamed);

        // The timer still works.
        var next = new Entry(throws: false);
        wheel.Add(next, clock.GetTimestamp() + 1);
        clock.Advance(TimeSpan.FromMilliseconds(20));
        Assert.Equal(1, next.Fired);
    }

    [Fact]
    public Task NoteFailure_TwoAtOnce_ClearOnce() => PoolHarness.RunAsync(async pool =>
    {
        for (int i = 0; i < 500; i++)
        {
            RentOutcome one = await pool.RentedAsync(), two = await pool.RentedAsync();
            Assert.Equal(one.Connection!.Generation, two.Connection!.Generation);
            int generation = one.Connection.Generation, arrived = 0;
            var failure = new FakeDbException(DriverFailure.Connection, "lost");
            Task noting = Task.Run(() => { Meet(ref arrived); pool.Pool.NoteFailure(one.Connection, failure); });
            Meet(ref arrived);
            pool.Pool.NoteFailure(two.Connection, failure);
            await pool.FinishAsync(noting);
            pool.Return(one);
            pool.Return(two);
            await pool.UntilAsync("closed", c => c is { Used: 0, Closing: 0 });

            // A second clear would have closed connections opened between the two.
            RentOutcome fresh = await pool.RentedAsync();
            Assert.Equal(generation + 1, fresh.Connection!.Generation);
            pool.Return(fresh);
            await pool.UntilAsync("idle", c => c is { Used: 0, Idle: 1 });
        }
    });

    [Fact]
    public Task RentAsync_OpenFailed_CauseHasNoWordsOfTheDrivers() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Open);
        await pool.FinishAsync(pool.Rent());
        var refused = await Assert.ThrowsAsync<RentRefusedException>(
            () => pool.FinishAsync(pool.Source.OpenConnectionAsync().AsTask()));
        Assert.IsAssignableFrom<DbException>(refused.InnerException);
        Assert.DoesNotContain(FakeConnector.Secret, refused.ToString(), StringComparison.Ordinal);
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Permits_LoweredWhileOpensFailOrHang_SurplusStillCloses(bool hangs) => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(3);
        RentOutcome[] held = [await pool.RentedAsync(), await pool.RentedAsync(), await pool.RentedAsync()];
        if (hangs) pool.Server.Hold(Step.Open);
        else pool.Server.Fail(Step.Open);
        Task<RentOutcome> fourth = pool.Rent(pool.In(60_000));
        await pool.AdvanceUntilAsync("the fault", _ => pool.Pool.Problem is not null, 50);
        pool.SetPermits(2);
        foreach (RentOutcome one in held) pool.Return(one);

        // An opening connection counts: its session may exist already.
        int most = hangs ? 1 : 2;
        await pool.AdvanceUntilAsync("the surplus closed", c => c.Used + c.Idle == most && c is { Closing: <= 1 });

        // No open is possible any more, so an old open error is no longer a problem.
        if (!hangs) await pool.AdvanceUntilAsync("good health", _ => pool.Pool.Problem is null);
        pool.Server.Answer(Step.Open);
        await pool.AdvanceUntilAsync("the rent", _ => fourth.IsCompleted);
        if ((await fourth).Connection is not null) pool.Return(await fourth);
    }, o => { o.MaxConnections = 4; o.RentTimeout = TimeSpan.FromMinutes(5); });

    private static void Meet(ref int arrived)
    {
        Interlocked.Increment(ref arrived);
        var spin = new SpinWait();
        while (Volatile.Read(ref arrived) < 2) spin.SpinOnce();
    }

    private sealed class Entry(bool throws) : WheelEntry
    {
        public int Fired { get; private set; }

        internal override void OnDue(long now)
        {
            Fired++;
            if (throws) throw new InvalidOperationException("an entry");
        }
    }
}
