using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>The pool's snapshot, metrics and logs; and what they must never contain.</summary>
public sealed class TelemetryTests
{
    [Fact]
    public Task Snapshot_AfterALife_HoldsEveryTotal() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection one = await pool.OpenedAsync(pool.In(5000));
        RentOutcome two = await pool.RentedAsync();
        Task<RentOutcome> late = pool.Rent();
        Task<RentOutcome> full = pool.Rent();
        Assert.True(full.IsCompleted);
        pool.Advance(410);
        await pool.FinishAsync(late);
        pool.Server.Hold(Step.Statement);
        using var leaves = new CancellationTokenSource();
        Task<int> running = one.CreateCommand().ExecuteNonQueryAsync(leaves.Token);
        await pool.HeldAsync(Step.Statement);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(running));
        two.Connection!.MustDiscard = true;
        pool.Return(two);
        await pool.UntilAsync("rest", c => c is { Used: 0, Closing: 0, Idle: 1 });

        PoolSnapshot snapshot = pool.Source.Snapshot();
        Assert.Equal("users", snapshot.Pool);
        Assert.Equal(2, snapshot.Permits);
        Assert.Equal((2, 1, 1, 2, 1), (snapshot.Rented, snapshot.TimedOut, snapshot.Rejected, snapshot.Opened,
            snapshot.Severed));
        Assert.Equal((1, 0, 0, 0, 0), (snapshot.Idle, snapshot.Used, snapshot.Opening, snapshot.Closing,
            snapshot.Pending));
        Assert.Equal(1, snapshot.Closed["discarded"]);
        Assert.Equal(
            ["cleared", "discarded", "drained", "expired", "pruned", "retired", "surplus"],
            snapshot.Closed.Keys.Order());
    }, o => o.MaxPending = 1);

    [Fact]
    public Task Snapshot_Percentiles_AreOfTheNewestDurations() => PoolHarness.RunAsync(async pool =>
    {
        Assert.Equal(default, pool.Source.Snapshot().Use);
        for (int i = 1; i <= 100; i++)
        {
            RentOutcome rented = await pool.RentedAsync();
            pool.Advance(10 * i);
            pool.Return(rented);
            await pool.UntilAsync("idle", c => c.Idle == 1);
        }

        DurationPercentiles use = pool.Source.Snapshot().Use;
        Assert.Equal(TimeSpan.FromMilliseconds(500), use.P50);
        Assert.Equal(TimeSpan.FromMilliseconds(950), use.P95);
        Assert.Equal(TimeSpan.FromMilliseconds(990), use.P99);
        Assert.Equal(default, pool.Source.Snapshot().Wait);
    }, o => { o.MaxConnections = 1; o.ValidationInterval = o.IdleTimeout = TimeSpan.FromHours(1); });

    [Fact]
    public Task Snapshot_Wait_IsFromArrivalToHandOff() => PoolHarness.RunAsync(async pool =>
    {
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome> waits = pool.Rent();
        pool.Advance(70);
        pool.Return(held);
        pool.Return(await pool.FinishAsync(waits));
        Assert.Equal(TimeSpan.Zero, pool.Source.Snapshot().Wait.P50);
        Assert.Equal(TimeSpan.FromMilliseconds(70), pool.Source.Snapshot().Wait.P99);
    }, o => o.MaxConnections = 1);

    [Fact]
    public void DurationWindow_Full_ForgetsTheOldest()
    {
        var window = new DurationWindow();
        for (int i = 0; i < 1024; i++) window.Add(TimeSpan.FromHours(1).Ticks);
        for (int i = 0; i < 1024; i++) window.Add(TimeSpan.FromSeconds(1).Ticks);
        long[] copy = window.Copy();
        Assert.Equal(1024, copy.Length);
        Assert.All(copy, ticks => Assert.Equal(TimeSpan.FromSeconds(1).Ticks, ticks));
    }

    [Fact]
    public Task Metrics_Everything_HasItsStandardNameAndValue() => PoolHarness.RunAsync(async pool =>
    {
        using var metrics = new Metrics("metered");
        PooledConnection held = await pool.OpenedAsync();
        Task<RentOutcome> late = pool.Rent();
        Task<RentOutcome> rejected = pool.Rent();
        Assert.True(rejected.IsCompleted);
        metrics.Observe();
        Assert.Equal(1, metrics.Last("db.client.connection.count", "used"));
        Assert.Equal(0, metrics.Last("db.client.connection.count", "idle"));
        Assert.Equal(1, metrics.Last("db.client.connection.max"));
        Assert.Equal(1, metrics.Last("db.client.connection.pending_requests"));
        pool.Advance(410);
        await pool.FinishAsync(late);

        // A deadline that has already passed also counts as timed out.
        Deadline passed = pool.In(5);
        pool.Advance(5);
        Assert.NotNull((await pool.Rent(passed)).Refusal);
        Assert.Equal(pool.Pool.Snapshot().TimedOut, metrics.Sum("db.client.connection.timeouts"));
        Assert.Equal(1, metrics.Sum("upool.rent.rejected", "queue-full"));

        held.Unwrap<FakeDbConnection>();
        pool.Server.Hold(Step.Close);
        held.Close();
        FakeCall close = await pool.HeldAsync(Step.Close);
        metrics.Observe();
        Assert.Equal(1, metrics.Last("upool.connection.closing"));
        Assert.Equal(0, metrics.Last("upool.connection.opening"));
        pool.Server.Finish(close, null);
        Assert.Equal(1, metrics.Sum("upool.connection.closed", "discarded"));
        Assert.Equal(0.415, metrics.Last("db.client.connection.use_time"), 6);
        Assert.Equal(0, metrics.Last("db.client.connection.wait_time"));
        Assert.Equal(0, metrics.Last("db.client.connection.create_time"));
        var shared = new SharedRead<int, int>("answer", pool.Source, static (_, key, _) => Task.FromResult(key));
        await pool.FinishAsync(Task.WhenAll(shared.AskAsync(42).AsTask(), shared.AskAsync(42).AsTask()));
        Assert.Equal(2, metrics.Sum("upool.shared.callers", "answer"));
        Assert.InRange(metrics.Sum("upool.shared.askings", "answer"), 1, 2);
        Assert.Equal(
            [
                "db.client.connection.count", "db.client.connection.create_time", "db.client.connection.max",
                "db.client.connection.pending_requests", "db.client.connection.timeouts",
                "db.client.connection.use_time", "db.client.connection.wait_time", "upool.connection.closed",
                "upool.connection.closing", "upool.connection.opening", "upool.rent.rejected",
                "upool.shared.askings", "upool.shared.callers",
            ],
            metrics.Names);
        Assert.True(metrics.AllNameThePool);
    }, o => { o.Name = "metered"; o.MaxConnections = 1; o.MaxPending = 1; });

    [Fact]
    public Task Metrics_Drain_CountsTheRefusedPending() => PoolHarness.RunAsync(async pool =>
    {
        pool.IsDrained = true;
        using var metrics = new Metrics("drained");
        RentOutcome held = await pool.RentedAsync();
        Task<RentOutcome> pending = pool.Rent();
        Task<bool> drain = pool.Pool.DrainAsync(TimeSpan.FromSeconds(1));
        await pool.FinishAsync(pending);
        pool.Return(held);
        Assert.True(await pool.FinishAsync(drain));
        Assert.Equal(1, metrics.Sum("upool.rent.rejected", "draining"));
        Assert.Equal(1, metrics.Sum("upool.connection.closed", "drained"));
    }, o => { o.Name = "drained"; o.MaxConnections = 1; });

    [Fact]
    public Task Secret_InTheDriversWords_IsNeverInThePools() => PoolHarness.RunAsync(async pool =>
    {
        // Every failure of the fake contains the password; the harness searches all logs for it.
        using var metrics = new Metrics("secretive");
        List<string> said = [];
        pool.Server.Fail(Step.Open);
        await using (var refused = pool.Source.CreateConnection())
            said.Add((await Assert.ThrowsAsync<RentRefusedException>(() => refused.OpenAsync())).Message);
        said.Add(pool.Source.Health.Problem!);
        pool.Server.Answer(Step.Open);
        await pool.AdvanceUntilAsync("healthy", c => c.Idle == 1 && pool.Pool.Problem is null);

        pool.Server.Fail(Step.Reset, times: 1);
        pool.Server.Fail(Step.Ping, times: 1);
        pool.Server.Fail(Step.Kill, times: 1);
        for (int i = 0; i < 3; i++)
        {
            pool.Advance(600);
            Task<RentOutcome> rent = pool.Rent();
            await pool.AdvanceUntilAsync("a rent", _ => rent.IsCompleted, 1);
            pool.Return(await rent);
            await pool.AdvanceUntilAsync("rest", c => c is { Used: 0, Closing: 0 });
        }

        said.AddRange(pool.Log.Entries.Select(entry => entry.Text));
        said.Add(pool.Source.Snapshot().ToString());
        said.Add(pool.Source.ConnectionString);
        said.AddRange(metrics.Tags);
        Assert.NotEmpty(pool.Log.Of(1001));
        Assert.NotEmpty(pool.Log.Of(1003));
        Assert.All(said, text => Assert.DoesNotContain(FakeConnector.Secret, text, StringComparison.Ordinal));
    }, o => o.Name = "secretive");

    private sealed class Metrics : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly ConcurrentQueue<(string Name, double Value, string Tags)> _seen = new();
        private readonly string _pool;

        public Metrics(string pool)
        {
            _pool = pool;
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == PooledDataSource.MeterName) listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<int>((i, value, tags, _) => See(i, value, tags));
            _listener.SetMeasurementEventCallback<long>((i, value, tags, _) => See(i, value, tags));
            _listener.SetMeasurementEventCallback<double>((i, value, tags, _) => See(i, value, tags));
            _listener.Start();
        }

        public IEnumerable<string> Names => _seen.Select(seen => seen.Name).Distinct().Order();

        public IEnumerable<string> Tags => _seen.Select(seen => seen.Tags);

        public bool AllNameThePool =>
            _seen.All(s => s.Tags.Contains($"db.client.connection.pool.name={_pool}", StringComparison.Ordinal));

        public void Observe() => _listener.RecordObservableInstruments();

        public double Last(string name, string tag = "") => Of(name, tag).Last();

        public double Sum(string name, string tag = "") => Of(name, tag).Sum();

        public void Dispose() => _listener.Dispose();

        private IEnumerable<double> Of(string name, string tag) =>
            _seen.Where(s => s.Name == name && s.Tags.Contains(tag, StringComparison.Ordinal)).Select(s => s.Value);

        // The pools of other tests use the same meter: keep only those of this name.
        private void See(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            string text = string.Join(' ', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"));
            if (text.Contains($"pool.name={_pool}", StringComparison.Ordinal))
                _seen.Enqueue((instrument.Name, value, text));
        }
    }
}
