using UPool.Core;

namespace UPool;

/// <content>Closing: skipping what was not read.</content>
public sealed partial class PooledDataReader
{
    // The most steps of a synchronous close, on its caller's thread. A server on this machine can send as fast as the
    // driver reads, so skipping all arrived data might never end.
    private const int MaxSkippedAtOnce = 4096;
    private static readonly TimeSpan MaxSkippingTime = TimeSpan.FromMilliseconds(5);

    /// <summary>Closes without a wait: data that has not arrived is skipped in the background.</summary>
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

        // A synchronous step found no data and is still under way, and no caller will wait for it.
        else if (_ahead is { IsCompleted: false })
        {
            _ = _connection.SeverBetween(_bound, OperationEnd.Cancelled, CancellationToken.None);
        }

        if (_closesConnection) _connection.Close();
    }

    /// <summary>Reads the rest, within the deadline, and closes.</summary>
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

        // A step begun by a synchronous call that did not wait for it.
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

    /// <summary>Claims the session for the close; false if an operation is in flight, which ends with the
    /// connection.</summary>
    private bool TryClaimToClose(out OperationBound bound)
    {
        // Read the run before the rent; see Operation.
        Operation operation = _bound.Physical.Operation;
        long seen = operation.CurrentRun;
        bound = default;
        if (!_bound.IsHeld || !operation.TryClaim(seen, out long run)) return false;

        bound = Bound with { Run = run };
        return true;
    }

    /// <summary>Skips the data that has arrived, without a wait. Returns a task for the rest, or null.</summary>
    private Task? CloseInner(PhysicalConnection physical)
    {
        // A no-reset rent skips the reset only if its result was read to the end.
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
            // A close must not throw the driver's errors while it skips.
            return Task.FromException<bool>(exception);
        }
    }

    private void NoteSkipped(bool advanced, bool isRow)
    {
        _resultReadToEnd = !advanced;
        if (!isRow) _readToEnd = !advanced;
    }

    /// <summary>Waits for the rest, within the deadline. The session is claimed: a close of the connection, a drain and
    /// a cancel end this wait like any other.</summary>
    private async ValueTask FinishAsync(Task rest, OperationBound bound)
    {
        OperationEnd end = await _connection.WaitAsync(rest, bound, CancellationToken.None).ConfigureAwait(false);
        if (end == OperationEnd.Deadline) throw _connection.Severed(end, CancellationToken.None);
        if (end != OperationEnd.Completed) return;

        TakeRest();

        // The connection's next operation reports an error in the rest.
        if (rest.IsCompletedSuccessfully) bound.Physical.EndLingering();
    }

    /// <summary>The driver has read everything: takes the values that came with the rest.</summary>
    private void TakeRest()
    {
        _recordsAffected = _inner.RecordsAffected;
        _statement.Advance(_running);
        _statement.End(_running);
    }
}
