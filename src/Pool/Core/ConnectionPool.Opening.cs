namespace UPool.Core;

/// <content>Opening beside the queue, the pause between failed opens, and the ping of what sat idle too long.</content>
internal sealed partial class ConnectionPool
{
    // The first pause after a failed open. Long enough for the server to have dropped the failed session.
    private static readonly TimeSpan MinOpenRetryInterval = TimeSpan.FromMilliseconds(50);

    // Guarded by _gate.
    private Fault? _fault;
    private int _failedOpens;
    private long _retryAt;

    /// <summary>Why opens fail at present.</summary>
    /// <param name="Problem">The reason in one plain line.</param>
    /// <param name="Cause">The driver's exception; null while an open is merely unanswered.</param>
    /// <param name="IsNoPermit">The server has no room for one more session: not broken, just full.</param>
    private sealed record Fault(string Problem, Exception? Cause, bool IsNoPermit);

    /// <summary>What ails, in one plain line; null when the last open was answered well.</summary>
    public string? Problem
    {
        get
        {
            lock (_gate) return _fault?.Problem ?? _connector.Problem;
        }
    }

    /// <summary>
    /// Opens the first connection, and waits until that has succeeded or failed, for
    /// <see cref="PoolOptions.RentTimeout"/> at most. The pool keeps trying whatever came of it.
    /// </summary>
    public async Task WarmUpAsync(CancellationToken token)
    {
        RentOutcome outcome = await RentAsync(Deadline.None, token).ConfigureAwait(false);
        if (outcome.Connection is { } connection) Release(connection, outcome.RentId);
    }

    private bool IsDown_NeedsLock() =>
        _open.Count == 0 && (_fault is { IsNoPermit: false } || (_fault is null && _connector.Problem is not null));

    /// <summary>Starts as many pings and opens as the pending rents need and the limits allow.</summary>
    private void Grow_NeedsLock()
    {
        if (_draining) return;

        // An open under way does not spare a ping: it may stay unanswered while what is open works.
        while (_pending.Count > _validating && _idle.Count > 0) Validate_NeedsLock();

        if (_fault is not null)
        {
            // One probe at a time, wanted or not: it is what notices that the database is back.
            if (_opening == 0 && Sessions_NeedsLock() < _permits && _clock.GetTimestamp() >= _retryAt)
                StartOpen_NeedsLock();
            return;
        }

        // What is being opened or pinged will serve somebody; the connections in use are not counted on.
        int missing = _pending.Count - _opening - _validating;
        while (missing-- > 0 && _opening < _options.MaxOpening && Sessions_NeedsLock() < _permits)
            StartOpen_NeedsLock();
    }

    /// <summary>Makes the newest idle connection ready for any rent.</summary>
    private void Validate_NeedsLock()
    {
        PhysicalConnection unready = _idle[^1];
        _idle.RemoveAt(_idle.Count - 1);
        _used++;
        _validating++;
        Queue(static (pool, connection) => pool.ValidateAsync(connection), unready);
    }

    private void StartOpen_NeedsLock()
    {
        _opening++;
        Queue(static (pool, generation) => pool.OpenAsync(generation), _generation);
    }

    private async Task OpenAsync(int generation)
    {
        long startedAt = _clock.GetTimestamp();
        PhysicalConnection connection;
        try
        {
            Task<PhysicalConnection> opening = _connector.OpenAsync();
            await NoteIfUnansweredAsync(opening).ConfigureAwait(false);
            connection = await opening.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            OnOpenFailed(exception);
            return;
        }

        TimeSpan took = _clock.GetElapsedTime(startedAt);
        connection.Generation = generation;

        // Up to a tenth less, so that connections opened together do not all end together.
        double lifetime = _options.MaxLifetime.TotalSeconds * (1 - 0.1 * Random.Shared.NextDouble());
        connection.RetireAt = _clock.GetTimestamp() + Ticks(TimeSpan.FromSeconds(lifetime));

        // First: no listener or logger may keep the connection from those who wait.
        bool recovered = Arrive(connection, Arrival.Open);
        Telemetry.OnOpened(took);
        if (recovered) LogRecovered(_options.Name, _connector.Target);
    }

    /// <summary>
    /// An open that stays unanswered is left pending, its permit held: closed and repeated, it would stand in the
    /// server's accept queue twice and count twice when the server wakes up (INV-1). Only the word spreads.
    /// </summary>
    private async Task NoteIfUnansweredAsync(Task opening)
    {
        if (opening.IsCompleted) return;

        using var bound = new CancellationTokenSource();
        Task delay = Task.Delay(_options.OpenTimeout, _clock, bound.Token);
        if (await Task.WhenAny(opening, delay).ConfigureAwait(false) == opening)
        {
            await bound.CancelAsync().ConfigureAwait(false);
            return;
        }

        string problem = $"{_connector.Target} has not answered an open within "
            + $"{_options.OpenTimeout.TotalMilliseconds:0} ms.";
        SetFault(new Fault(problem, null, IsNoPermit: false));
    }

    private void OnOpenFailed(Exception exception)
    {
        bool noPermit = _connector.Classify(exception) == DriverFailure.NoPermit;
        TimeSpan pause;
        lock (_gate)
        {
            // Its permit is held through the pause: the server may count the failed session a moment longer.
            _opening--;
            _closing++;
            _failedOpens++;
            double doubled = MinOpenRetryInterval.TotalSeconds * Math.Pow(2, Math.Min(_failedOpens - 1, 16));
            double jittered = Math.Min(doubled, _options.MaxOpenRetryInterval.TotalSeconds)
                * (1 - 0.5 * Random.Shared.NextDouble());
            pause = TimeSpan.FromSeconds(Math.Max(jittered, MinOpenRetryInterval.TotalSeconds));
            _retryAt = _clock.GetTimestamp() + Ticks(pause);
        }

        Queue(static (pool, time) => pool.RetryAfterAsync(time), pause);
        SetFault(new Fault(_connector.Explain(exception), exception, noPermit));
    }

    private async Task RetryAfterAsync(TimeSpan pause)
    {
        await Task.Delay(pause, _clock).ConfigureAwait(false);
        lock (_gate)
        {
            _closing--;

            // A delay may end a moment before the clock says so; the pause is over because the delay is.
            _retryAt = Math.Min(_retryAt, _clock.GetTimestamp());
            Grow_NeedsLock();
            NoteDrained_NeedsLock();
        }
    }

    private void SetFault(Fault fault)
    {
        bool isNews;
        lock (_gate)
        {
            isNews = _fault?.Problem != fault.Problem;
            _fault = fault;
        }

        if (isNews) LogOpenFailed(_options.Name, fault.Problem);
        RefusePendingIfDown();
    }

    /// <summary>The pending hear at once that nothing will come, and why, rather than each at the end of its
    /// wait.</summary>
    private void RefusePendingIfDown()
    {
        List<PendingRent> refused;
        RentRefusal refusal;
        lock (_gate)
        {
            if (!IsDown_NeedsLock()) return;

            refusal = Refuse_NeedsLock(RefusalReason.Unavailable);
            refused = DequeueAll_NeedsLock(RefusalReason.Unavailable);
        }

        foreach (PendingRent rent in refused) rent.Complete(new RentOutcome(refusal));
    }

    private async Task ValidateAsync(PhysicalConnection connection)
    {
        bool alive = false;
        try
        {
            // A reset is as good a sign of life.
            Task ping = connection.IsAsNew ? connection.PingAsync() : connection.ResetAsync();
            long due = _clock.GetTimestamp() + Ticks(_options.RecoveryTimeout);
            OperationEnd end = await connection.Operation
                .RaceAsync(ping, due, Wheel, CancellationToken.None).ConfigureAwait(false);
            if (end == OperationEnd.Completed)
            {
                await ping.ConfigureAwait(false);
                alive = true;
            }
        }
        catch (Exception exception)
        {
            NoteFailure(connection, exception);
        }

        if (!alive) connection.MustDiscard = true;
        Arrive(connection, Arrival.Ping);
    }

    /// <summary>Runs work of the pool on the thread pool, never on a request's path and never under the lock.</summary>
    private void Queue<T>(Func<ConnectionPool, T, Task> work, T argument) =>
        ThreadPool.UnsafeQueueUserWorkItem(
            static item => _ = item.Pool.GuardAsync(item.Work(item.Pool, item.Argument)),
            (Pool: this, Work: work, Argument: argument),
            preferLocal: false);

    private async Task GuardAsync(Task work)
    {
        try
        {
            await work.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            // Each piece of work handles what the driver may throw; whatever arrives here is a defect of the pool.
            LogBug(_options.Name, Counts.ToString(), exception);
        }
    }
}
