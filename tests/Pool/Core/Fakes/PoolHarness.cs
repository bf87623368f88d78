using UPool.Core;

namespace UPool.Tests.Fakes;

/// <summary>
/// A pool on the fake driver and a fake clock. Waits are for events and have a limit in real time; beyond it the test
/// fails with the pool's snapshot. At every open and every check the sessions are compared with the permits (INV-1).
/// </summary>
internal sealed class PoolHarness
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();

    // The most sessions allowed: the permits, or after a shrink the sessions that existed then. Guarded by _gate.
    private int _ceiling;

    // The periods in which the pool had a lease, in the order in which they were set.
    private readonly List<(long From, long To)> _leases = [];

    private PoolHarness(Action<PoolOptions>? configure, bool needsLease)
    {
        Options = new PoolOptions { Name = "users", MaxConnections = 2 };
        configure?.Invoke(Options);
        _ceiling = Options.MaxConnections;
        Source = new PooledDataSource(Options, Server, Clock, Log, needsLease);
        Server.Opening = () => Check(Pool.Counts);
    }

    /// <summary>Set by a test that drains: the final check then expects no full capacity.</summary>
    public bool IsDrained { get; set; }

    public PoolOptions Options { get; }

    public JumpingClock Clock { get; } = new();

    public FakeConnector Server { get; } = new();

    public RecordingLogger Log { get; } = new();

    public PooledDataSource Source { get; }

    public ConnectionPool Pool => Source.Pool;

    public PoolCounts Counts => Pool.Counts;

    /// <summary>
    /// Runs a test, then checks that every permit is back, each connection works, and no rule was violated.
    /// </summary>
    public static async Task RunAsync(
        Func<PoolHarness, Task> test, Action<PoolOptions>? configure = null, bool needsLease = false)
    {
        var pool = new PoolHarness(configure, needsLease);
        try
        {
            await test(pool);
            pool.Clock.Reading = null;
            if (needsLease) pool.Grant(pool.Options.MaxConnections, TimeSpan.FromDays(1).TotalMilliseconds);
            if (pool.Pool.Permits == 0) pool.SetPermits(pool.Options.MaxConnections);
            if (!pool.IsDrained) await pool.AssertWholeAsync();
            pool.Server.Heal();
            await pool.AssertDrainsAsync();
        }
        finally
        {
            pool.Server.Heal();
            ValueTask disposing = pool.Source.DisposeAsync();
            for (int i = 0; i < 1000 && !disposing.IsCompleted; i++)
                await pool.AdvanceAsync(TimeSpan.FromMilliseconds(100));
        }
    }

    /// <summary>A deadline on the fake clock.</summary>
    public Deadline In(double milliseconds) => Deadline.After(TimeSpan.FromMilliseconds(milliseconds), Clock);

    public void Advance(double milliseconds) => Clock.Advance(TimeSpan.FromMilliseconds(milliseconds));

    public void SetPermits(int permits)
    {
        lock (_gate)
        {
            Source.MaxConnections = permits;
            _ceiling = Math.Max(permits, Math.Min(_ceiling, Sessions(Pool.Counts)));
        }
    }

    /// <summary>Sets a lease that ends after this time, and its grace this long after that.</summary>
    public PoolLease Grant(int permits, double milliseconds = 10_000, double grace = 5_000)
    {
        long endsAt = Clock.GetTimestamp() + TimeSpan.FromMilliseconds(milliseconds).Ticks;
        var lease = new PoolLease(
            permits, _leases.Count + 1, endsAt, endsAt + TimeSpan.FromMilliseconds(grace).Ticks);
        Grant(lease);
        return lease;
    }

    /// <summary>Sets a lease, or removes it.</summary>
    public void Grant(PoolLease? lease)
    {
        long from = Clock.GetTimestamp();
        lock (_gate)
        {
            Source.Lease = lease;
            _ceiling = Math.Max(Pool.Permits, Math.Min(_ceiling, Sessions(Pool.Counts)));
        }

        // The clock does not move while the pool's own work continues. One tick separates connections rented just
        // before, which the test may not have seen yet, from those rented after.
        Clock.Jump(TimeSpan.FromTicks(1));
        if (_leases.Count > 0) _leases[^1] = (_leases[^1].From, Math.Min(_leases[^1].To, Clock.GetTimestamp()));
        _leases.Add((from, lease?.EndsAt ?? from));
    }

    public bool WasLeasedAt(long timestamp) =>
        _leases.Exists(lease => lease.From <= timestamp && timestamp < lease.To);

    /// <summary>Simulates a process stop of this length; no timer has fired yet.</summary>
    public void Jump(double milliseconds) => Clock.Jump(TimeSpan.FromMilliseconds(milliseconds));

    /// <summary>Starts a rent.</summary>
    public Task<RentOutcome> Rent(
        Deadline deadline = default, FixedSelect? select = null, CancellationToken token = default) =>
        Pool.RentAsync(deadline, token, select: select).AsTask();

    /// <summary>Rents and expects a connection.</summary>
    public async Task<RentOutcome> RentedAsync()
    {
        RentOutcome outcome = await FinishAsync(Rent());
        Assert.True(outcome.Refusal is null, outcome.Refusal?.Message);
        return outcome;
    }

    /// <summary>Opens through ADO.NET and expects a connection.</summary>
    public async Task<PooledConnection> OpenedAsync(Deadline deadline = default)
    {
        RentResult result = await FinishAsync(Source.RentAsync(deadline).AsTask());
        return result.GetConnectionOrThrow();
    }

    /// <summary>Returns a connection on which something was executed.</summary>
    public void Return(RentOutcome rented)
    {
        rented.Connection!.HasExecuted = true;
        rented.Connection.MustReset = true;
        ReturnUnused(rented);
    }

    public void ReturnUnused(RentOutcome rented) => Pool.Release(rented.Connection!, rented.RentId);

    /// <summary>Opens this many connections and returns them, so that they are idle.</summary>
    public async Task WarmAsync(int connections)
    {
        Task<RentOutcome>[] rents = [.. Enumerable.Range(0, connections).Select(_ => Rent())];
        foreach (RentOutcome rented in await FinishAsync(Task.WhenAll(rents)))
        {
            Assert.True(rented.Refusal is null, rented.Refusal?.Message);
            Return(rented);
        }

        await UntilAsync("warm", c => c.Idle == connections && c is { Used: 0, Opening: 0, Closing: 0 });
    }

    /// <summary>Waits until the server holds a call.</summary>
    public Task<FakeCall> HeldAsync(Step step) => FinishAsync(Server.HeldAsync(step).AsTask(), $"a held {step}");

    /// <summary>Waits for a task that only the thread pool can delay.</summary>
    public async Task<T> FinishAsync<T>(Task<T> task, string what = "the task")
    {
        await FinishAsync((Task)task, what);
        return await task;
    }

    public async Task FinishAsync(Task task, string what = "the task")
    {
        await task.WaitAsync(Patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!task.IsCompleted) Assert.Fail($"Waited past the barrier for {what}: {Describe()}");
        await task;
    }

    /// <summary>Waits until the pool reaches a state; the fake clock does not move.</summary>
    public Task UntilAsync(string what, Func<PoolCounts, bool> reached) => UntilAsync(what, reached, TimeSpan.Zero);

    /// <summary>Advances the fake clock until the pool reaches a state.</summary>
    public Task AdvanceUntilAsync(string what, Func<PoolCounts, bool> reached, double stepMilliseconds = 10) =>
        UntilAsync(what, reached, TimeSpan.FromMilliseconds(stepMilliseconds));

    /// <summary>Advances in steps, with time for the pool's own work between them.</summary>
    public async Task AdvanceAsync(TimeSpan time)
    {
        Clock.Advance(time);
        await PauseAsync();
    }

    public string Describe() =>
        $"{Pool.Snapshot()}; closed {string.Join(", ", Pool.Snapshot().Closed)}; problem: {Pool.Problem}; "
        + $"server sessions {Server.Sessions}; log: {string.Join(" | ", Log.Entries.TakeLast(5).Select(e => e.Text))}";

    /// <summary>Checks INV-1 now.</summary>
    public void Check(PoolCounts counts)
    {
        int ceiling, sessions = Server.Sessions;
        lock (_gate)
        {
            ceiling = _ceiling;

            // The surplus left by a shrink never grows again.
            _ceiling = Math.Max(Pool.Permits, Math.Min(_ceiling, Sessions(Pool.Counts)));
        }

        if (Sessions(counts) > ceiling || sessions > ceiling)
            Server.Violate($"more sessions than permits (INV-1): {counts}, server {sessions}, ceiling {ceiling}");
    }

    public void AssertNoViolation()
    {
        Check(Pool.Counts);
        Assert.Empty(Server.Violations);
        Assert.Empty(Log.Of(1099));
        Assert.DoesNotContain(
            Log.Entries, entry => entry.Text.Contains(FakeConnector.Secret, StringComparison.Ordinal));
    }

    /// <summary>Heals the server and expects full capacity: all permits can be rented and each connection
    /// works.</summary>
    public async Task AssertWholeAsync()
    {
        Server.Heal();
        Server.SetProblem(null);

        // In long steps: refused credentials are tried again after 10 s.
        await AdvanceUntilAsync(
            "rest", c => c is { Used: 0, Opening: 0, Closing: 0, Pending: 0 } && Pool.Problem is null,
            stepMilliseconds: 50);
        AssertNoViolation();

        // A session that died unnoticed fails in its next rent and takes its generation with it; such rents are not
        // checked here.
        foreach (RentOutcome outcome in await RentAllAsync())
        {
            if (outcome.Connection is not FakePhysicalConnection { Fake: var fake } connection) continue;

            Exception? error = await Record.ExceptionAsync(
                () => fake.StatementAsync("shake", connection.Transaction, CancellationToken.None));
            if (error is not null) Pool.NoteFailure(connection, error);
            Return(outcome);
        }

        await AdvanceUntilAsync(
            "rest", c => c is { Used: 0, Opening: 0, Closing: 0, Pending: 0 } && Pool.Problem is null);
        int permits = Pool.Permits;
        RentOutcome[] outcomes = await RentAllAsync();
        foreach (RentOutcome outcome in outcomes)
        {
            Assert.True(outcome.Connection is not null, outcome.Refusal?.Message);
            var fake = (FakePhysicalConnection)outcome.Connection;
            Assert.False(fake.Fake.IsDirty, "The connection was handed on dirty (INV-5).");
            await fake.Fake.StatementAsync("whole", fake.Transaction, CancellationToken.None);
        }

        Assert.Equal(permits, outcomes.Select(outcome => outcome.Connection).Distinct().Count());
        Assert.Equal(permits, Counts.Used);
        Assert.Equal(permits, Server.Sessions);
        foreach (RentOutcome outcome in outcomes) Return(outcome);
        await UntilAsync("all idle", c => c.Idle == permits && c is { Used: 0, Pending: 0 });
        AssertNoViolation();
    }

    /// <summary>Drains and expects that no session remains.</summary>
    public async Task AssertDrainsAsync()
    {
        Task<bool> drain = Pool.DrainAsync(TimeSpan.FromSeconds(1));
        await AdvanceUntilAsync("the drain", _ => drain.IsCompleted);
        Assert.True(await drain, Describe());
        Assert.Equal(0, Server.Sessions);
        Assert.Equal(0, Pool.Wheel.Count);
        AssertNoViolation();
    }

    private async Task<RentOutcome[]> RentAllAsync()
    {
        int permits = Pool.Permits;
        if (Options.MaxPending >= permits)
            return await FinishAsync(Task.WhenAll(Enumerable.Range(0, permits).Select(_ => Rent())), "full capacity");

        // With MaxPending 0, a refused rent makes the pool open a connection for the next one.
        List<RentOutcome> rented = [];
        while (rented.Count < permits)
        {
            RentOutcome outcome = await FinishAsync(Rent());
            if (outcome.Connection is not null) rented.Add(outcome);
            else await UntilAsync("one for the next", c => c.Idle > 0);
        }

        return [.. rented];
    }

    private static int Sessions(PoolCounts counts) =>
        counts.Used - counts.UsedElsewhere + counts.Idle + counts.Opening + counts.Closing;

    // The pool's work runs on the thread pool: yield the processor, then check again.
    private static async Task PauseAsync()
    {
        for (int i = 0; i < 20; i++) await Task.Yield();
        await Task.Delay(1);
    }

    private async Task UntilAsync(string what, Func<PoolCounts, bool> reached, TimeSpan step)
    {
        long startedAt = TimeProvider.System.GetTimestamp();
        while (true)
        {
            PoolCounts counts = Pool.Counts;
            Check(counts);
            if (reached(counts)) return;

            if (TimeProvider.System.GetElapsedTime(startedAt) > Patience)
                Assert.Fail($"Waited past the barrier for {what}: {Describe()}");
            if (step > TimeSpan.Zero) Clock.Advance(step);
            await PauseAsync();
        }
    }
}
