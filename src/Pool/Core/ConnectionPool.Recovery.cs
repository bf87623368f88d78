namespace UPool.Core;

/// <content>Taking a connection from its renter, and recovering it in the background.</content>
internal sealed partial class ConnectionPool
{
    // A few unread rows are in the driver's buffer already; only a long remainder is worth a kill.
    private static readonly TimeSpan UnreadRowsGrace = TimeSpan.FromMilliseconds(5);

    /// <summary>
    /// Ends a rent: the renter is done with the connection, or is cut off from it. Sends nothing; the pool ends open
    /// work and resets the session in the background. A connection is back at once if the rent executed nothing, or was
    /// a no-reset rent that only read its fixed SELECT to the end. Does nothing when the rent has ended before.
    /// </summary>
    public void Release(PhysicalConnection connection, long rentId)
    {
        bool isBack, recovered = false;
        PendingRent? served = null;
        long nextRentId = 0, rentedAt, now;
        lock (_gate)
        {
            if (!connection.TryEndRent(rentId)) return;

            // Read under the lock: if the process was stopped before it, the rent at the head may have ended.
            now = ReadClock_NeedsLock();
            rentedAt = connection.RentedAt;
            _books.AddUse(now - rentedAt);
            if (connection.Waited is { } waited)
            {
                connection.Waited = null;
                _spares.Put(waited);
            }

            isBack = IsReusable_NeedsLock(connection, now);
            if (isBack)
            {
                recovered = connection.HasExecuted && _judge.NoteAnswered();
                served = HandOver_NeedsLock(connection, now, out nextRentId);
            }
        }

        if (!isBack) Queue(static (pool, released) => pool.RecoverAsync(released), connection);
        else if (served is not null) Complete(served, connection, nextRentId);
        Telemetry.OnReleased(rentedAt, now);
        if (recovered) LogRecovered(_options.Name, _connector.Target);
    }

    /// <summary>Whether the next renter may use the session as this one left it.</summary>
    private bool IsReusable_NeedsLock(PhysicalConnection connection, long now)
    {
        // Fence first: no operation changes the values read after that.
        if (!connection.Operation.TryFence() || connection.MustReset || !connection.IsAtRest) return false;

        if (connection.HasExecuted)
        {
            connection.IsAsNew = false;
            connection.AnsweredAt = now;
        }

        // A session without a recent answer is reset rather than pinged: that proves as much, and no rent waits for it.
        else if (!IsFresh(connection, now)) return false;

        // If the rent at the head wants the session as new, it is reset now; no rent is overtaken (INV-4).
        return connection.IsAsNew || PeekLive_NeedsLock(now) is null or { Select: not null };
    }

    /// <summary>An operation of a renter was cut off at its deadline or by its caller's cancellation.</summary>
    public void OnSevered()
    {
        lock (_gate) _books.Severed++;
    }

    /// <summary>The driver failed on a connection. Decides the meaning for the other connections.</summary>
    public void NoteFailure(PhysicalConnection connection, Exception exception)
    {
        DriverFailure failure = connection.Judge(exception, _connector.Classify(exception));
        FailureNotes.OfDriver(exception, failure);
        switch (failure)
        {
            case DriverFailure.Connection:
            case DriverFailure.WrongServer:
                connection.MustDiscard = true;

                // Connections of the same generation have likely failed too. A failure in an older generation proves
                // nothing about connections opened later, and nothing new about its own. Compare and clear under one
                // lock: otherwise two that fail together would clear twice, and the second clear would close the
                // connections opened in between.
                lock (_gate)
                {
                    if (connection.Generation == _generation) Clear_NeedsLock();
                }

                break;

            case DriverFailure.NoPermit or DriverFailure.NotTaken or DriverFailure.SessionLost:
                connection.MustDiscard = true;
                break;
        }
    }

    private async Task RecoverAsync(PhysicalConnection connection)
    {
        bool clean = false;
        try
        {
            clean = await TryCleanAsync(connection).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            // Not logged as an error: a connection that cannot be recovered is replaced, and no request fails.
            LogNotCleaned(_options.Name, exception.GetType().Name, _connector.Explain(exception));
            NoteFailure(connection, exception);
        }

        if (clean) Return(connection);
        else Close(connection, CloseReason.Discarded);
    }

    private async Task<bool> TryCleanAsync(PhysicalConnection connection)
    {
        Task<bool> ended = TryEndOperationAsync(connection);
        if (!await ended.EndsWithinAsync(2 * _options.RecoveryTimeout, _clock).ConfigureAwait(false)) return false;
        if (!await ended.ConfigureAwait(false)) return false;
        if (connection.IsBroken || connection.MustDiscard) return false;

        await BoundedAsync(CleanAsync(connection)).ConfigureAwait(false);
        return true;
    }

    /// <summary>
    /// Ends the work that the renter left running. After a kill, the connection is used again only when both the
    /// statement's end and the kill's answer have been seen: a kill still under way would hit the next renter (INV-5).
    /// </summary>
    private async Task<bool> TryEndOperationAsync(PhysicalConnection connection)
    {
        Operation operation = connection.Operation;
        bool inFlight = !operation.TryFence();
        if (!inFlight) await SkipWhatIsLeftAsync(connection).ConfigureAwait(false);
        Task lingering = connection.Lingering ?? Task.CompletedTask;
        if (!inFlight && await lingering.EndsWithinAsync(UnreadRowsGrace, _clock).ConfigureAwait(false)) return true;

        operation.Sever();
        bool needsKill = inFlight || connection.LingeringReader;

        // Behind a multiplexing proxy only closing the client's connection ends a statement. And a kill ends at most
        // one statement of a script or procedure: SLEEP and some others then end without an error, and the next one
        // runs.
        if (needsKill && (!connection.CanKill || connection.RunsScript)) return false;

        Task kill = needsKill ? connection.KillStatementAsync() : Task.CompletedTask;

        // If the server does not answer, the driver's own hard timeout of the command ends the operation. The kill is
        // awaited only for a connection that is still usable.
        await operation.WhenSettled().ConfigureAwait(false);
        if (inFlight) await SkipWhatIsLeftAsync(connection).ConfigureAwait(false);
        await (connection.Lingering ?? lingering).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (connection.IsBroken) return false;

        await kill.ConfigureAwait(false);
        return true;
    }

    /// <summary>Begins to skip the rows of a reader that no caller will read: one left open, or one that arrived
    /// late.</summary>
    private static async Task SkipWhatIsLeftAsync(PhysicalConnection connection)
    {
        await connection.AdoptAsync().ConfigureAwait(false);
        if (connection.Reader is { } reader && !connection.IsBroken) _ = connection.SkipRows(reader);
    }

    private static async Task CleanAsync(PhysicalConnection connection)
    {
        // The lingering work has ended already.
        connection.EndLingering();
        connection.Watch = null;
        connection.IsAutocommitOff = false;
        connection.RunningText = "";
        connection.Running = null;
        if (connection.Transaction is { } transaction)
        {
            // The driver keeps its own transaction state, which a reset of the session does not clear.
            connection.Transaction = null;
            await transaction.DisposeAsync().ConfigureAwait(false);
        }

        await connection.ResetAsync().ConfigureAwait(false);
    }

    private async Task BoundedAsync(Task task)
    {
        if (task.IsCompleted)
        {
            await task.ConfigureAwait(false);
            return;
        }

        await task.WaitAsync(_options.RecoveryTimeout, _clock).ConfigureAwait(false);
    }
}
