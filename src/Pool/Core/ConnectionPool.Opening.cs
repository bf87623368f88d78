namespace UPool.Core;

/// <content>Opening beside the queue, the pause between failed opens, and the ping of what sat idle too long.</content>
internal sealed partial class ConnectionPool
{
    // The first pause after a failed open. Long enough for the server to have dropped the failed session.
    private static readonly TimeSpan MinOpenRetryInterval = TimeSpan.FromMilliseconds(50);

    // Guarded by _gate.
    private Backoff _backoff;
    private long _retryAt;

    // Numbers of opens, in the order in which they were sent: the newest of all, when an answer of any kind was last
    // given, the newest that was answered, that failed, that stayed unanswered; and how many of the last are under way.
    private long _sent, _sentAtAnswer, _newestAnswered, _newestFailed, _newestUnanswered;
    private int _unanswered;

    // Opens that take longer than half a rent's wait; those that stay unanswered are not among them.
    private int _lateOpens;

    /// <summary>An open under way. Guarded by the pool's lock.</summary>
    private sealed class Opening(int generation, ICandidate? candidate)
    {
        public int Generation => generation;

        /// <summary>What it is tried with in place of what the connector opens with.</summary>
        public ICandidate? Candidate => candidate;

        /// <summary>Its place in the order in which opens were sent; past all others until it is sent.</summary>
        public long Number { get; set; } = long.MaxValue;

        public bool IsLate { get; set; }

        public bool IsUnanswered { get; set; }

        public bool HasEnded { get; set; }
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

    private void Grow_NeedsLock() => Grow_NeedsLock(_pending.Count);

    /// <summary>Starts as many pings and opens as this many rents need and the limits allow.</summary>
    private void Grow_NeedsLock(int wanted)
    {
        if (_draining) return;

        // An open under way does not spare a ping: it may stay unanswered while what is open works.
        while (wanted > _validating && _idle.Count > 0) Validate_NeedsLock();

        // One that stays unanswered is the probe; others would only stand behind it in the server's accept queue.
        if (_fault is { IsUnanswered: true }) return;

        TryCandidate_NeedsLock();
        int fresh = _opening - _unanswered;
        if (_fault is not null)
        {
            ForgetFault_NeedsLock();

            // One probe at a time, wanted or not: it is what notices that the database is back.
            if (fresh == 0 && Sessions_NeedsLock() < _permits && _clock.GetTimestamp() >= _retryAt)
                StartOpen_NeedsLock();
            return;
        }

        // One that was lost may still come to light, and with a lease there is never more than one of them (INV-2).
        if (_needsLease && _opening >= MaxOpeningWithLease) return;

        // While established sessions work and opens do not, they are tried one by one: each may cost a permit for long.
        int most = _needsLease ? MaxOpeningWithLease
            : _unanswered == 0 || _newestAnswered > _newestUnanswered ? _options.MaxOpening
            : 1;

        // What is being opened or pinged will serve somebody; the connections in use are not counted on, nor is what is
        // late already: it may have been lost, and who waits needs another.
        int missing = wanted - (fresh - _lateOpens) - _validating;
        for (; missing > 0 && fresh < most && Sessions_NeedsLock() < _permits; missing--, fresh++)
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
        Queue(static (pool, opening) => pool.OpenAsync(opening), new Opening(_generation, TakeCandidate_NeedsLock()));
    }

    private async Task OpenAsync(Opening opening)
    {
        if (!MayOpen(opening.Generation)) return;

        lock (_gate) opening.Number = ++_sent;
        long startedAt = _clock.GetTimestamp();
        PhysicalConnection connection;
        try
        {
            Task<PhysicalConnection> answer = opening.Candidate?.OpenAsync() ?? _connector.OpenAsync();
            if (!await answer.EndsWithinAsync(_patience, _clock).ConfigureAwait(false))
            {
                NoteLate(opening);
                if (!await answer.EndsWithinAsync(_options.OpenTimeout - _patience, _clock).ConfigureAwait(false))
                    NoteUnanswered(opening);
            }

            connection = await answer.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            if (opening.Candidate is not null) OnCandidateFailed(opening, exception);
            else OnOpenFailed(opening, exception);
            return;
        }

        long openedAt = _clock.GetTimestamp();
        connection.Generation = opening.Generation;

        // Up to a tenth less, so that connections opened together do not all end together.
        double lifetime = _options.MaxLifetime.TotalSeconds * (1 - 0.1 * Random.Shared.NextDouble());
        connection.RetireAt = openedAt + Ticks(TimeSpan.FromSeconds(lifetime));

        // First: no listener or logger may keep the connection from those who wait.
        bool recovered = Arrive(connection, Arrival.Open, opening);
        Telemetry.OnOpened(startedAt, openedAt);
        if (recovered) LogRecovered(_options.Name, _connector.Target);
    }

    private void NoteLate(Opening opening)
    {
        lock (_gate)
        {
            if (opening.HasEnded) return;

            opening.IsLate = true;
            _lateOpens++;
            Grow_NeedsLock();
        }
    }

    private void EndOpen_NeedsLock(Opening opening)
    {
        opening.HasEnded = true;
        _opening--;
        if (opening.IsLate) _lateOpens--;
        if (opening.IsUnanswered) _unanswered--;
    }

    private void OnOpenFailed(Opening opening, Exception exception)
    {
        bool noPermit = _connector.Classify(exception) == DriverFailure.NoPermit;
        string problem = _connector.Explain(exception);
        bool isNews = false;
        TimeSpan pause = MinOpenRetryInterval;
        lock (_gate)
        {
            // Its permit is held through the pause: the server may count the failed session a moment longer.
            EndOpen_NeedsLock(opening);
            _closing++;
            TryCandidateNext_NeedsLock();

            // The end of one that was lost on its way says nothing new about a server that has answered later ones.
            if (!opening.IsUnanswered || _newestAnswered < opening.Number)
            {
                _newestFailed = Math.Max(_newestFailed, opening.Number);
                pause = _backoff.Next();
                _retryAt = _clock.GetTimestamp() + Ticks(pause);
                isNews = SetFault_NeedsLock(new Fault(problem, new StrippedException(problem, exception), noPermit));
            }
        }

        Queue(static (pool, time) => pool.RetryAfterAsync(time), pause);
        if (isNews) LogOpenFailed(_options.Name, problem);
        RefusePendingIfDown();
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

    private async Task ValidateAsync(PhysicalConnection connection)
    {
        bool alive = false;
        long run = 0;
        try
        {
            run = connection.Operation.Claim(connection.Operation.CurrentRun);

            // A reset is as good a sign of life.
            Task ping = connection.IsAsNew ? connection.PingAsync() : connection.ResetAsync();

            // Given up while there is still time to serve who waits by another permit, or by this one opened anew.
            long due = _clock.GetTimestamp() + _pingTimeout;
            OperationEnd end = await connection.Operation
                .RaceAsync(ping, due, Wheel, CancellationToken.None).ConfigureAwait(false);
            if (end == OperationEnd.Completed || ping.IsCompletedSuccessfully)
            {
                await ping.ConfigureAwait(false);
                alive = true;
            }
        }
        catch (Exception exception)
        {
            NoteFailure(connection, exception);
        }

        connection.Operation.Release(run);
        if (!alive) connection.MustDiscard = true;
        if (Arrive(connection, Arrival.Ping)) LogRecovered(_options.Name, _connector.Target);
    }

    /// <summary>Runs work of the pool on the thread pool, never on a request's path and never under the lock.</summary>
    private void Queue<T>(Func<ConnectionPool, T, Task> work, T argument) =>
        ThreadPool.UnsafeQueueUserWorkItem(
            static item => _ = item.Pool.GuardAsync(item.Work, item.Argument),
            (Pool: this, Work: work, Argument: argument),
            preferLocal: false);

    private async Task GuardAsync<T>(Func<ConnectionPool, T, Task> work, T argument)
    {
        try
        {
            await work(this, argument).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            Blame(exception);
        }
    }

    /// <summary>The same for what a timer or another lane calls: neither may die of it.</summary>
    private void Guard(Action<ConnectionPool> work)
    {
        try
        {
            work(this);
        }
        catch (Exception exception)
        {
            Blame(exception);
        }
    }

    // Each piece of work handles what the driver may throw; whatever arrives here is a defect of the pool.
    private void Blame(Exception exception) => LogBug(_options.Name, Counts.ToString(), exception);
}
