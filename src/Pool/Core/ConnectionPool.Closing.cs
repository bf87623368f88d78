namespace UPool.Core;

/// <content>Closing: surplus, age, idleness, a clear, a drain; and the report of rents held too long.</content>
internal sealed partial class ConnectionPool : IAsyncDisposable
{
    // Often enough to prune and report in good time, seldom enough to cost nothing.
    private static readonly TimeSpan MaintenanceInterval = TimeSpan.FromSeconds(1);

    private readonly ITimer _maintenance;

    // Guarded by _gate; set when the pool drains, completed when the last session is gone.
    private TaskCompletionSource? _drained;

    /// <summary>Closes all that were opened before now: idle ones at once, used ones when they come back.</summary>
    public void Clear()
    {
        lock (_gate) Clear_NeedsLock();
    }

    private void Clear_NeedsLock()
    {
        _generation++;
        CloseIdle_NeedsLock(CloseReason.Cleared);
    }

    /// <summary>
    /// Takes no new rents, refuses the pending, waits for the rented connections, severs those that are still out
    /// after <paramref name="timeout"/>, and waits until the server has dropped all sessions, for
    /// <see cref="PoolOptions.RecoveryTimeout"/> at most.
    /// </summary>
    /// <returns>Whether every session is known to be gone.</returns>
    public async Task<bool> DrainAsync(TimeSpan timeout)
    {
        List<PendingRent> refused;
        RentRefusal refusal;
        Task drained;
        lock (_gate)
        {
            _draining = true;
            _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _changed.End();
            CompleteStarts_NeedsLock(isOpen: false);
            drained = _drained.Task;
            (refused, refusal) = DequeueAll_NeedsLock(RefusalReason.Draining);
            CloseIdle_NeedsLock(CloseReason.Drained);
            NoteDrained_NeedsLock();
        }

        RefuseAll(refused, refusal);
        if (!await drained.EndsWithinAsync(timeout, _clock).ConfigureAwait(false))
        {
            PhysicalConnection[] left;
            lock (_gate) left = [.. _books.Open.Where(static connection => connection.RentId != 0)];
            if (left.Length > 0) LogDrainSevers(_options.Name, Counts.ToString());
            SeverAll(left);
            if (!await drained.EndsWithinAsync(_options.RecoveryTimeout, _clock).ConfigureAwait(false)) return false;
        }

        // Of a server that is away nobody knows, and nobody waits for it.
        lock (_gate) return _books.Elsewhere == 0;
    }

    /// <summary>Drains, and lets go of the connector whatever came of it.</summary>
    public async ValueTask DisposeAsync()
    {
        // Whoever has drained already has waited already: a database that is away must not hold the stop twice.
        bool isDrained;
        lock (_gate) isDrained = _draining;
        if (!await DrainAsync(isDrained ? TimeSpan.Zero : _options.DrainTimeout).ConfigureAwait(false))
            LogNotDrained(_options.Name, Counts.ToString());
        _connector.ProblemFound -= OnProblemFound;
        _connector.ServerChanged -= OnServerChanged;
        await _maintenance.DisposeAsync().ConfigureAwait(false);
        if (_lease.Timer is { } leaseTimer) await leaseTimer.DisposeAsync().ConfigureAwait(false);
        Wheel.Dispose();
        Telemetry.Dispose();
        await _connector.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>
    /// Another server answers than before. What is open leads to the former one and closes as it comes back; there it
    /// holds no permit, and counts again if that server answers once more.
    /// </summary>
    private void OnServerChanged() => Guard(static pool =>
    {
        lock (pool._gate)
        {
            pool.Clear_NeedsLock();
            pool._books.CountAnew();
            pool.Grow_NeedsLock();
            pool.NoteDrained_NeedsLock();
        }
    });

    private void SeverAll(PhysicalConnection[] rented)
    {
        foreach (PhysicalConnection connection in rented)
        {
            // Its renter may be about to send a statement: such a session is closed, never cleaned and reused.
            connection.MustDiscard = true;
            Release(connection, connection.RentId);
        }
    }

    /// <summary>Closes a used connection.</summary>
    private void Close(PhysicalConnection connection, CloseReason reason)
    {
        lock (_gate)
        {
            BeginClose_NeedsLock(connection, reason);

            // A ping that failed was counted on by somebody who waits; another permit may be free.
            Grow_NeedsLock();
        }
    }

    private CloseReason? WhyClose_NeedsLock(PhysicalConnection connection, long now) =>
        connection.MustDiscard || connection.IsBroken ? CloseReason.Discarded
        : _draining ? CloseReason.Drained
        : connection.Generation != _generation ? WhyPast_NeedsLock(connection)
        : MakesRoom_NeedsLock() ? CloseReason.Cleared
        : IsSurplus_NeedsLock() ? CloseReason.Surplus
        : now >= connection.RetireAt ? CloseReason.Retired
        : null;

    // The end of a lease begins another generation too.
    private CloseReason WhyPast_NeedsLock(PhysicalConnection connection) =>
        _lease.IsOfEndedLease(connection.Generation) ? CloseReason.Expired : CloseReason.Cleared;

    /// <summary>The permit stays held, as "closing", until the server has dropped the session (INV-1).</summary>
    private void BeginClose_NeedsLock(PhysicalConnection connection, CloseReason reason)
    {
        if (!_books.TryBeginClose(connection, reason))
            throw new InvalidOperationException($"bug: a connection was closed twice ({Counts_NeedsLock()}).");

        Queue(static (pool, closed) => pool.CloseAsync(closed.connection, closed.reason), (connection, reason));

        // It may have been the last that those who wait could hope for.
        if (_pending.Count > 0 && IsDown_NeedsLock()) Queue(static pool => pool.RefusePendingIfDown());
    }

    private async Task CloseAsync(PhysicalConnection connection, CloseReason reason)
    {
        bool isConfirmed = false, recovered = false;
        Telemetry.OnClosed(reason);
        try
        {
            await connection.CloseAsync().ConfigureAwait(false);

            // Where no kill is sent, the driver's close is all there is, and that waits for no answer.
            isConfirmed = connection.CanKill;
        }
        catch (ObjectDisposedException)
        {
            // Nobody is left to ask the server. The permit stays held and a drain says so, rather than claim that the
            // session is gone (INV-1).
            return;
        }
        catch (Exception exception)
        {
            LogCloseFailed(_options.Name, exception.GetType().Name, _connector.Explain(exception));
        }

        lock (_gate)
        {
            if (isConfirmed) recovered = _judge.NoteAnswered();
            _books.EndClose(connection);
            Grow_NeedsLock();
            NoteDrained_NeedsLock();
        }

        if (recovered) LogRecovered(_options.Name, _connector.Target);
    }

    private void CloseIdle_NeedsLock(CloseReason reason)
    {
        for (int i = _books.Idle.Count - 1; i >= 0; i--) BeginClose_NeedsLock(_books.TakeIdle(i), reason);
    }

    private void CloseSurplus_NeedsLock()
    {
        // The longest idle first, as pruning would.
        while (_books.Idle.Count > 0 && IsSurplus_NeedsLock()) CloseOldestIdle_NeedsLock(CloseReason.Surplus);
    }

    /// <summary>What is closing already does not count, or a shrink would close more than it has to.</summary>
    private bool IsSurplus_NeedsLock() => _books.OpenHere + _judge.Opening > _books.Permits;

    private void CloseOldestIdle_NeedsLock(CloseReason reason) => BeginClose_NeedsLock(_books.TakeIdle(0), reason);

    private void NoteDrained_NeedsLock()
    {
        if (_draining && Sessions_NeedsLock() == 0) _drained?.TrySetResult();
    }

    private void Maintain()
    {
        List<(RentPlace RentedBy, TimeSpan Held)>? heldTooLong = null;
        lock (_gate)
        {
            long now = _clock.GetTimestamp();
            if (IsCandidateDue_NeedsLock()) Grow_NeedsLock();
            long idleTimeout = Ticks(_options.IdleTimeout);
            List<PhysicalConnection> idle = _books.Idle;
            while (idle.Count > 0 && now - idle[0].IdleSince > idleTimeout)
                CloseOldestIdle_NeedsLock(CloseReason.Pruned);

            for (int i = idle.Count - 1; i >= 0; i--)
            {
                if (now >= idle[i].RetireAt) BeginClose_NeedsLock(_books.TakeIdle(i), CloseReason.Retired);
            }

            if (_options.HeldTooLongTimeout != Timeout.InfiniteTimeSpan)
            {
                long limit = Ticks(_options.HeldTooLongTimeout);
                foreach (PhysicalConnection connection in _books.Open)
                {
                    if (connection.RentId == 0 || connection.ReportedHeld) continue;
                    if (now - connection.RentedAt < limit) continue;

                    connection.ReportedHeld = true;
                    (heldTooLong ??= []).Add((connection.RentedBy, _clock.GetElapsedTime(connection.RentedAt, now)));
                }
            }
        }

        if (heldTooLong is null) return;

        foreach ((RentPlace rentedBy, TimeSpan held) in heldTooLong)
            LogHeldTooLong(_options.Name, held.TotalSeconds, rentedBy.ToString() ?? _places.Describe());
    }
}
