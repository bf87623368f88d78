namespace UPool.Core;

/// <content>The first connection: opened for nobody, and waited for with a time of its own, not a request's.</content>
internal sealed partial class ConnectionPool
{
    // Those who wait for the first connection; a handful at a start. Guarded by _gate.
    private readonly List<Start> _starts = [];

    private sealed class Start(bool endsWithFailure)
        : TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        /// <summary>Whether an open that fails ends the wait, or the next one is waited for.</summary>
        public bool EndsWithFailure => endsWithFailure;
    }

    /// <summary>Opens the first connection, and waits for it; answers whether one is open. The pool keeps trying
    /// whatever came of it.</summary>
    /// <param name="timeout">How long to wait while opens fail; null: until the first open has succeeded, has failed,
    /// or has not been answered for <see cref="PoolOptions.OpenTimeout"/>.</param>
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

    /// <summary>The rents that want a connection; while nothing is open, one more for those who start the
    /// pool.</summary>
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
