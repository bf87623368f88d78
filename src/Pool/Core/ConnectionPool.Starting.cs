namespace UPool.Core;

/// <content>The first connection: opened for no rent, and awaited with a timeout of its own, not a request's.</content>
internal sealed partial class ConnectionPool
{
    // The callers that wait for the first connection; a handful at a start. Guarded by _gate.
    private readonly List<Start> _starts = [];

    private sealed class Start(bool endsWithFailure)
        : TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        /// <summary>Whether a failed open ends the wait; otherwise the wait goes on with the next open.</summary>
        public bool EndsWithFailure => endsWithFailure;
    }

    /// <summary>Opens the first connection and waits for it. Returns whether one is open. The pool keeps trying in any
    /// case.</summary>
    /// <param name="timeout">The longest wait while opens fail; null to wait until the first open has succeeded, has
    /// failed, or has not been answered for <see cref="PoolOptions.OpenTimeout"/>.</param>
    /// <param name="token">Ends the wait.</param>
    public async Task<bool> StartAsync(TimeSpan? timeout, CancellationToken token)
    {
        var start = new Start(endsWithFailure: timeout is null);
        lock (_gate)
        {
            if (_books.OpenHere > 0) return true;
            if (_draining) return false;

            _starts.Add(start);
            Grow_NeedsLock();
            if (_judge.Opening == _judge.Unanswered) CompleteStarts_NeedsLock(isOpen: false);
        }

        try
        {
            return await start.Task.WaitAsync(timeout ?? Timeout.InfiniteTimeSpan, _clock, token).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return false;
        }
        finally
        {
            lock (_gate) _starts.Remove(start);
        }
    }

    /// <summary>The rents that want a connection; while nothing is open and no rent waits, one for the callers that
    /// start the pool.</summary>
    private int Wanted_NeedsLock() =>
        _starts.Count > 0 && _pending.Count == 0 && _books.OpenHere == 0 ? 1 : _pending.Count;

    /// <summary>An open has ended, or none can begin.</summary>
    private void CompleteStarts_NeedsLock(bool isOpen)
    {
        foreach (Start start in _starts)
        {
            if (isOpen || _draining || start.EndsWithFailure) start.TrySetResult(isOpen);
        }
    }
}
