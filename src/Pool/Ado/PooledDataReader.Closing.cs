using UPool.Core;

namespace UPool;

/// <content>The end of it.</content>
public sealed partial class PooledDataReader
{
    // What a synchronous close goes over at most, on its caller's thread. A server on this machine can send as fast as
    // the driver reads: "all that has arrived" would have no end.
    private const int MaxSkippedAtOnce = 4096;
    private static readonly TimeSpan MaxSkippingTime = TimeSpan.FromMilliseconds(5);

    /// <summary>Closes without a wait: what has not arrived is skipped behind the caller's back.</summary>
    public override void Close()
    {
        if (_closed) return;

        _closed = true;
        if (!_bound.IsHeld) return;

        if (TryClaimToClose(out OperationBound bound))
        {
            try
            {
                _ = CloseInner(bound.Physical);
            }
            finally
            {
                bound.Release();
            }
        }

        // A synchronous step that met nothing has left it under way, and nobody is here to wait for it.
        else if (_ahead is { IsCompleted: false })
        {
            _ = _connection.SeverBetween(_bound, OperationEnd.Cancelled, CancellationToken.None);
        }

        if (_closesConnection) _connection.Close();
    }

    /// <summary>Reads what is left, within the deadline, and closes.</summary>
    /// <exception cref="DeadlineExceededException">The rest did not end by the deadline; the connection is
    /// severed.</exception>
    public override Task CloseAsync() => CloseSoonAsync().AsTask();

    /// <inheritdoc cref="CloseAsync"/>
    public override async ValueTask DisposeAsync()
    {
        await CloseSoonAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) Close();
        base.Dispose(disposing);
    }

    private async ValueTask CloseSoonAsync()
    {
        if (_closed) return;

        // A step that a synchronous call has begun, and did not wait for.
        if (_ahead is { IsCompleted: false } ahead)
            await ((Task)ahead).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        _closed = true;
        if (!_bound.IsHeld) return;

        if (TryClaimToClose(out OperationBound bound))
        {
            try
            {
                if (CloseInner(bound.Physical) is { } rest) await FinishAsync(rest, bound).ConfigureAwait(false);
            }
            finally
            {
                bound.Release();
            }
        }

        if (_closesConnection) _connection.Close();
    }

    /// <summary>Claims the session for the close; false when something is in flight, which ends with the
    /// connection.</summary>
    private bool TryClaimToClose(out OperationBound bound)
    {
        // In this order; see Operation.
        Operation operation = _bound.Physical.Operation;
        long seen = operation.CurrentRun;
        bound = default;
        if (!_bound.IsHeld || !operation.TryClaim(seen, out long run)) return false;

        bound = Bound with { Run = run };
        return true;
    }

    /// <summary>Goes over what has arrived, without a wait; gives what is left, as a task, or null.</summary>
    private Task? CloseInner(PhysicalConnection physical)
    {
        // What a no-reset rent was made for is read to its end.
        if (!_readToEnd && !_resultReadToEnd) physical.MustReset = true;
        if (!TrySkipArrived(out Task<bool>? underWay))
        {
            _recordsAffected = _inner.RecordsAffected;
            return physical.SkipRows(_inner, underWay);
        }

        physical.Reader = null;
        TakeRest();
        Task closing = _inner.DisposeAsync().AsTask();
        if (!closing.IsCompletedSuccessfully) physical.Lingering = closing;
        return null;
    }

    private bool TrySkipArrived(out Task<bool>? underWay)
    {
        underWay = null;
        TimeProvider clock = _connection.Pool.Clock;
        long startedAt = 0;
        for (int steps = 1; steps <= MaxSkippedAtOnce; steps++)
        {
            if (_readToEnd) return true;

            bool isRow = !_resultReadToEnd;
            Task<bool> step = StartStepOrFail(isRow);
            if (!step.IsCompletedSuccessfully)
            {
                underWay = step;
                return false;
            }

            NoteSkipped(step.GetAwaiter().GetResult(), isRow);
            if ((steps & 63) != 0) continue;
            if (startedAt == 0) startedAt = clock.GetTimestamp();
            else if (clock.GetElapsedTime(startedAt) > MaxSkippingTime) return false;
        }

        return false;
    }

    private Task<bool> StartStepOrFail(bool isRow)
    {
        try
        {
            return StartStep(isRow);
        }
        catch (Exception exception)
        {
            // A close does not throw what the driver meets while it skips.
            return Task.FromException<bool>(exception);
        }
    }

    private void NoteSkipped(bool advanced, bool isRow)
    {
        _resultReadToEnd = !advanced;
        if (!isRow) _readToEnd = !advanced;
    }

    /// <summary>Waits for the rest within the deadline. The session is claimed: a close of the connection, a drain and
    /// a cancel end the wait as they end any other.</summary>
    private async ValueTask FinishAsync(Task rest, OperationBound bound)
    {
        OperationEnd end = await _connection.WaitAsync(rest, bound, CancellationToken.None).ConfigureAwait(false);
        if (end == OperationEnd.Deadline) throw _connection.Severed(end, CancellationToken.None);
        if (end != OperationEnd.Completed) return;

        TakeRest();

        // An error among the rest is heard by the connection's next operation.
        if (rest.IsCompletedSuccessfully) bound.Physical.EndLingering();
    }

    /// <summary>The driver has read everything: what the rest held besides rows is taken.</summary>
    private void TakeRest()
    {
        _recordsAffected = _inner.RecordsAffected;
        _statement.Advance(_running);
        _statement.End(_running);
    }
}
