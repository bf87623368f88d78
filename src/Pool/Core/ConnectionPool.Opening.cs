namespace UPool.Core;

/// <content>Opening beside the queue, the pause between failed opens, and the ping of idle connections.</content>
internal sealed partial class ConnectionPool
{
    private void Grow_NeedsLock() => Grow_NeedsLock(Wanted_NeedsLock());

    /// <summary>Starts as many pings and opens as this many rents need and the rules allow.</summary>
    private void Grow_NeedsLock(int wanted)
    {
        if (_draining) return;

        // An open under way does not replace a ping: it may stay unanswered while the open connections work.
        while (wanted > _books.Validating && _books.Idle.Count > 0) Validate_NeedsLock();

        // The usual case: all permits are in use, and nothing has to be tried.
        if (_judge.Fault is null && !_changed.IsTaken && Sessions_NeedsLock() >= _books.Permits) return;

        ForgetFault_NeedsLock();
        OpenAnswer answer;
        while ((answer = OpenRules.MayOpen(State_NeedsLock(wanted))).IsYes()) StartOpen_NeedsLock();
        if (answer == OpenAnswer.MakeRoom && _books.Idle.Count > 0) CloseOldestIdle_NeedsLock(CloseReason.Cleared);
    }

    private OpenState State_NeedsLock(int wanted) => new()
    {
        IsDraining = _draining,
        NeedsLease = _needsLease,
        IsLeased = _lease.IsInForce,
        Permits = _books.Permits,
        Open = _books.OpenHere,
        Opening = _judge.Opening,
        Late = _judge.Late,
        Unanswered = _judge.Unanswered,
        Closing = _books.Closing,
        Fault = _judge.FaultKind,
        IsPausing = _judge.Fault is not null && _judge.IsPausing,
        AreOpensAnswered = _judge.AreOpensAnswered,
        IsCandidateDue = IsCandidateDue_NeedsLock(),
        HasControlProblem = _connector.Problem is not null,
        Wanted = wanted,
        Validating = _books.Validating,
        MaxOpening = _options.MaxOpening,
    };

    /// <summary>Makes the newest idle connection ready for any rent.</summary>
    private void Validate_NeedsLock()
    {
        PhysicalConnection unready = _books.TakeIdle(_books.Idle.Count - 1);
        _books.Validating++;
        Queue(static (pool, connection) => pool.ValidateAsync(connection), unready);
    }

    private void StartOpen_NeedsLock()
    {
        var opening = new Opening(_generation);
        if (IsCandidateDue_NeedsLock()) _changed.Take(opening);
        _judge.Begin();
        Queue(static (pool, begun) => pool.OpenAsync(begun), opening);
    }

    private async Task OpenAsync(Opening opening)
    {
        if (!TrySend(opening)) return;

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

        // Up to a tenth less, so that connections opened together do not all retire together.
        double lifetime = _options.MaxLifetime.TotalSeconds * (1 - 0.1 * Random.Shared.NextDouble());
        connection.RetireAt = openedAt + Ticks(TimeSpan.FromSeconds(lifetime));

        // Before telemetry and logs: no listener or logger may keep the connection from a pending rent.
        bool recovered = OnReady(connection, Readied.ByOpen, opening);
        Telemetry.OnOpened(startedAt, openedAt);
        if (recovered) LogRecovered(_options.Name, _connector.Target);
    }

    /// <summary>The last check before an open is sent: the lease may have ended, the permits shrunk, or a drain
    /// begun.</summary>
    private bool TrySend(Opening opening)
    {
        lock (_gate)
        {
            ReadClock_NeedsLock();
            if (!_draining && !_lease.IsOfEndedLease(opening.Generation) && Sessions_NeedsLock() <= _books.Permits)
            {
                _judge.Send(opening);
                return true;
            }

            _judge.End(opening);
            _changed.PutBack(opening);
            CompleteStarts_NeedsLock(isOpen: false);
            Grow_NeedsLock();
            NoteDrained_NeedsLock();
            return false;
        }
    }

    private void NoteLate(Opening opening)
    {
        lock (_gate)
        {
            if (_judge.NoteLate(opening)) Grow_NeedsLock();
        }
    }

    private void OnOpenFailed(Opening opening, Exception exception)
    {
        bool isNoPermit = _connector.Classify(exception) == DriverFailure.NoPermit;
        string problem = _connector.Explain(exception);
        var fault = new OpenFault(
            problem, new StrippedException(problem, exception), isNoPermit ? FaultKind.NoPermit : FaultKind.Failed);
        TimeSpan pause;
        bool isNews;
        lock (_gate)
        {
            // The permit is held through the pause: the server may count the failed session a moment longer.
            _judge.End(opening);
            _books.BeginPause();
            (pause, isNews) = _judge.NoteFailed(opening, fault);
            _changed.NoteFormerFailed();
            CompleteStarts_NeedsLock(isOpen: false);
        }

        Queue(static (pool, time) => pool.EndPauseAsync(time, isOfProbe: true), pause);
        if (isNews) LogOpenFailed(_options.Name, problem);
        RefusePendingIfDown();
    }

    private async Task EndPauseAsync(TimeSpan pause, bool isOfProbe)
    {
        await Task.Delay(pause, _clock).ConfigureAwait(false);
        lock (_gate)
        {
            _books.EndPause();
            if (isOfProbe) _judge.EndPause();
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

            // Give the ping up while there is still time to serve the rent with another permit, or with a new
            // connection on this one. Read the clock before the ping is sent: the timeout counts from then.
            long due = _clock.GetTimestamp() + _pingTimeout;

            // A reset is as good a sign of life as a ping.
            Task ping = connection.IsAsNew ? connection.PingAsync() : connection.ResetAsync();
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
        if (OnReady(connection, Readied.ByPing)) LogRecovered(_options.Name, _connector.Target);
    }

    /// <summary>Runs work of the pool on the thread pool, never on a request's path and never under the lock.</summary>
    private void Queue<T>(Func<ConnectionPool, T, Task> work, T argument) =>
        ThreadPool.UnsafeQueueUserWorkItem(
            static item => _ = item.Pool.GuardAsync(item.Work, item.Argument),
            (Pool: this, Work: work, Argument: argument),
            preferLocal: false);

    /// <summary>The same for synchronous work.</summary>
    private void Queue(Action<ConnectionPool> work) =>
        Queue(
            static (pool, action) =>
            {
                action(pool);
                return Task.CompletedTask;
            },
            work);

    private async Task GuardAsync<T>(Func<ConnectionPool, T, Task> work, T argument)
    {
        try
        {
            await work(this, argument).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            ReportBug(exception);
        }
    }

    /// <summary>The same for callbacks of a timer or of the connector: an exception must not end either.</summary>
    private void Guard(Action<ConnectionPool> work)
    {
        try
        {
            work(this);
        }
        catch (Exception exception)
        {
            ReportBug(exception);
        }
    }

    // Each piece of work handles the driver's exceptions; any exception that gets here is a bug in the pool.
    private void ReportBug(Exception exception) => LogBug(_options.Name, Counts.ToString(), exception);
}
