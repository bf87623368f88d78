namespace UPool.Core;

/// <content>Taking a connection from its renter, and making it clean behind everybody's back.</content>
internal sealed partial class ConnectionPool
{
    // A few rows left unread are in the driver's buffer already; only a long rest is worth a kill.
    private static readonly TimeSpan UnreadRowsGrace = TimeSpan.FromMilliseconds(5);

    /// <summary>
    /// The renter is done with the connection, or is cut off from it. Nothing is sent here: what was left open is
    /// ended, and the session reset, on the pool's own time. A rent that had nothing executed, or a no-reset rent that
    /// did nothing but its fixed SELECT, and read it to its end, gives it back here and now. Nothing happens when the
    /// rent has ended before.
    /// </summary>
    public void Release(PhysicalConnection connection, long rentId)
    {
        bool isBack, recovered = false;
        PendingRent? served = null;
        long nextRentId = 0, rentedAt, now;
        lock (_gate)
        {
            if (!connection.TryEndRent(rentId)) return;

            // Read here, because the process may be stopped before the lock: the rent at the head may have ended since.
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

    /// <summary>Whether the next renter may have the session as this one left it.</summary>
    private bool IsReusable_NeedsLock(PhysicalConnection connection, long now)
    {
        // Fenced first: what is read after that no operation changes any more.
        if (!connection.Operation.TryFence() || connection.MustReset || !connection.IsAtRest) return false;

        if (connection.HasExecuted)
        {
            connection.IsAsNew = false;
            connection.AnsweredAt = now;
        }

        // A reset is as good a sign of life as a ping, and nobody waits for it.
        else if (!IsFresh(connection, now)) return false;

        // With a rent at the head that wants the session as new, a reset is due now, and nobody is overtaken (INV-4).
        return connection.IsAsNew || PeekLive_NeedsLock(now) is null or { Select: not null };
    }

    /// <summary>An operation of a renter was cut off at its deadline or by its caller's cancellation.</summary>
    public void OnSevered()
    {
        lock (_gate) _books.Severed++;
    }

    /// <summary>A renter saw the driver fail. What it means for the other connections is decided here.</summary>
    public void NoteFailure(PhysicalConnection connection, Exception exception)
    {
        DriverFailure failure = connection.Judge(exception, _connector.Classify(exception));
        FailureNotes.OfDriver(exception, failure);
        switch (failure)
        {
            case DriverFailure.Connection:
            case DriverFailure.WrongServer:
                connection.MustDiscard = true;

                // Those of its age have likely met the same end. One that was opened later proves nothing about them,
                // and one of an older generation only what is known already.
                // Under one lock, or two that fail together would clear twice, and take with them what was opened
                // between the two.
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
            // Not logged as an error: a connection that cannot be cleaned is replaced, and nobody's request suffers.
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
    /// Ends what the renter left running. A connection with a kill requested goes on only when both the statement's
    /// end and the kill's answer have been seen: a kill still under way would hit the next renter (INV-5).
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

        // Behind a multiplexing proxy all that can end a statement is the end of the client's connection. And of a
        // script or a procedure a kill ends one statement, if that: SLEEP and some others end without an error then,
        // and the server goes on with what is behind them.
        if (needsKill && (!connection.CanKill || connection.RunsScript)) return false;

        Task kill = needsKill ? connection.KillStatementAsync() : Task.CompletedTask;

        // The driver's own hard timeout of the command ends it when the server does not answer; the kill is waited for
        // only by a connection that is still worth having.
        await operation.WhenSettled().ConfigureAwait(false);
        if (inFlight) await SkipWhatIsLeftAsync(connection).ConfigureAwait(false);
        await (connection.Lingering ?? lingering).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (connection.IsBroken) return false;

        await kill.ConfigureAwait(false);
        return true;
    }

    /// <summary>Begins to skip the rows of a reader that nobody will read: one left open, or one that came
    /// late.</summary>
    private static async Task SkipWhatIsLeftAsync(PhysicalConnection connection)
    {
        await connection.AdoptAsync().ConfigureAwait(false);
        if (connection.Reader is { } reader && !connection.IsBroken) _ = connection.SkipRows(reader);
    }

    private static async Task CleanAsync(PhysicalConnection connection)
    {
        // Seen to its end already.
        connection.EndLingering();
        connection.Watch = null;
        connection.IsAutocommitOff = false;
        connection.RunningText = "";
        connection.Running = null;
        if (connection.Transaction is { } transaction)
        {
            // The driver keeps its own note of the transaction, which a reset of the session would not clear.
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
