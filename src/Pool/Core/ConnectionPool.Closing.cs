namespace UPool.Core;

/// <content>Closing: surplus, age, idleness, a clear, a drain; and the report of rents held too long.</content>
internal sealed partial class ConnectionPool : IAsyncDisposable
{
    // Often enough to prune and report in time, rarely enough to cost nothing.
    private static readonly TimeSpan MaintenanceInterval = TimeSpan.FromSeconds(1);

    private readonly ITimer _maintenance;

    // Guarded by _gate; set when the pool drains, completed when the last session is gone.
    private TaskCompletionSource? _drained;

    /// <summary>Closes all connections opened before now: idle ones now, used ones when returned.</summary>
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
    /// Refuses new and pending rents, waits for the rented connections, severs those still rented after
    /// <paramref name="timeout"/>, and waits until the server has dropped all sessions, for at most
    /// <see cref="PoolOptions.RecoveryTimeout"/>.
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

        // Nothing is known about sessions on a former server, and the drain does not wait for them.
        lock (_gate) return _books.Elsewhere == 0;
    }

    /// <summary>Drains, then disposes the connector whatever the result.</summary>
    public async ValueTask DisposeAsync()
    {
        // After an earlier drain, do not wait again: an unavailable database must not delay the stop twice.
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
    /// Another server answers than before. Connections to the former server close when they are returned. They hold no
    /// permit on the present one, and count again if the former server answers once more.
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
            // The renter may be about to send a statement: such a session is closed, never recovered and reused.
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

            // A pending rent may have counted on a ping that failed; another permit may be free.
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

        // This may have been the last connection that the pending rents could get.
        if (_pending.Count > 0 && IsDown_NeedsLock()) Queue(static pool => pool.RefusePendingIfDown());
    }

    private async Task CloseAsync(PhysicalConnection connection, CloseReason reason)
    {
        bool isConfirmed = false, recovered = false;
        Telemetry.OnClosed(reason);
        try
        {
            await connection.CloseAsync().ConfigureAwait(false);

            // Without a kill there is only the driver's close, which waits for no answer.
            isConfirmed = connection.CanKill;
        }
        catch (ObjectDisposedException)
        {
            // After the disposal nothing can ask the server. The permit stays held, and a drain reports that, rather
            // than claim that the session is gone (INV-1).
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

    /// <summary>Closing sessions do not count, or a shrink would close more than it must.</summary>
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
