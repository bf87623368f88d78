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
            _changed?.TrySetResult(false);
            drained = _drained.Task;
            refusal = Refuse_NeedsLock(RefusalReason.Draining);
            refused = DequeueAll_NeedsLock(RefusalReason.Draining);
            CloseIdle_NeedsLock(CloseReason.Drained);
            NoteDrained_NeedsLock();
        }

        foreach (PendingRent rent in refused) rent.Complete(new RentOutcome(refusal));
        if (await drained.EndsWithinAsync(timeout, _clock).ConfigureAwait(false)) return true;

        PhysicalConnection[] left;
        lock (_gate) left = [.. _open.Where(static connection => connection.RentId != 0)];
        if (left.Length > 0) LogDrainSevers(_options.Name, Counts.ToString());
        foreach (PhysicalConnection connection in left)
        {
            // Its renter may be about to send a statement: such a session is closed, never cleaned and reused.
            connection.MustDiscard = true;
            Release(connection, connection.RentId);
        }

        return await drained.EndsWithinAsync(_options.RecoveryTimeout, _clock).ConfigureAwait(false);
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
        await _maintenance.DisposeAsync().ConfigureAwait(false);
        if (_leaseTimer is not null) await _leaseTimer.DisposeAsync().ConfigureAwait(false);
        Wheel.Dispose();
        Telemetry.Dispose();
        await _connector.DisposeAsync().ConfigureAwait(false);
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
        : IsOfEndedLease_NeedsLock(connection) ? CloseReason.Expired
        : connection.Generation != _generation ? CloseReason.Cleared
        : MakesRoom_NeedsLock() ? CloseReason.Cleared
        : IsSurplus_NeedsLock() ? CloseReason.Surplus
        : now >= connection.RetireAt ? CloseReason.Retired
        : null;

    /// <summary>The permit stays held, as "closing", until the server has dropped the session (INV-1).</summary>
    private void BeginClose_NeedsLock(PhysicalConnection connection, CloseReason reason)
    {
        if (!_open.Remove(connection))
            throw new InvalidOperationException($"bug: a connection was closed twice ({Counts_NeedsLock()}).");

        _used--;
        _closing++;
        _closed[(int)reason]++;
        Telemetry.OnClosed(reason);
        Queue(static (pool, closed) => pool.CloseAsync(closed), connection);
    }

    private async Task CloseAsync(PhysicalConnection connection)
    {
        bool isConfirmed = false, recovered = false;
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
            if (isConfirmed) recovered = NoteAnswered_NeedsLock();
            _closing--;
            Grow_NeedsLock();
            NoteDrained_NeedsLock();
        }

        if (recovered) LogRecovered(_options.Name, _connector.Target);
    }

    private void CloseIdle_NeedsLock(CloseReason reason)
    {
        foreach (PhysicalConnection connection in _idle)
        {
            _used++;
            BeginClose_NeedsLock(connection, reason);
        }

        _idle.Clear();
    }

    private void CloseSurplus_NeedsLock()
    {
        // The longest idle first, as pruning would.
        while (_idle.Count > 0 && IsSurplus_NeedsLock()) CloseOldestIdle_NeedsLock(CloseReason.Surplus);
    }

    /// <summary>What is closing already does not count, or a shrink would close more than it has to.</summary>
    private bool IsSurplus_NeedsLock() => _open.Count + _opening > _permits;

    private void CloseOldestIdle_NeedsLock(CloseReason reason)
    {
        PhysicalConnection connection = _idle[0];
        _idle.RemoveAt(0);
        _used++;
        BeginClose_NeedsLock(connection, reason);
    }

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
            RetryCandidate_NeedsLock(now);
            long idleTimeout = Ticks(_options.IdleTimeout);
            while (_idle.Count > 0 && now - _idle[0].IdleSince > idleTimeout)
                CloseOldestIdle_NeedsLock(CloseReason.Pruned);

            for (int i = _idle.Count - 1; i >= 0; i--)
            {
                PhysicalConnection connection = _idle[i];
                if (now < connection.RetireAt) continue;

                _idle.RemoveAt(i);
                _used++;
                BeginClose_NeedsLock(connection, CloseReason.Retired);
            }

            if (_options.HeldTooLongTimeout != Timeout.InfiniteTimeSpan)
            {
                long limit = Ticks(_options.HeldTooLongTimeout);
                foreach (PhysicalConnection connection in _open)
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
