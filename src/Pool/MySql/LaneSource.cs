namespace UPool.MySql;

/// <summary>
/// What the kill lane opens its sessions with, and what it is to open them with once the server has accepted that.
/// </summary>
internal sealed class LaneSource(SessionSource source, SessionRegister? register, TimeProvider clock)
{
    // As a pool's: between two tries with credentials that were refused.
    private static readonly TimeSpan CandidateRetryInterval = TimeSpan.FromSeconds(10);

    // Before another session is opened in place of one that was closed or refused: long enough for the server to have
    // dropped that one, for there is nobody else to ask.
    private static readonly TimeSpan ReopenInterval = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();

    // All below is guarded by _gate.
    private SessionSource _proven = source;
    private SessionSource? _candidate;
    private TaskCompletionSource<bool>? _changed;
    private long _retryAt;

    /// <summary>Changes what is opened with.</summary>
    /// <returns>Whether the first try succeeded.</returns>
    public Task<bool> Change(SessionSource candidate)
    {
        lock (_gate)
        {
            _changed?.TrySetResult(false);
            _changed = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            _candidate = candidate;
            _retryAt = clock.GetTimestamp();
            return _changed.Task;
        }
    }

    /// <summary>Whether a change is to be tried now, in place of the session there is.</summary>
    public bool IsChangeDue
    {
        get
        {
            lock (_gate) return _candidate is not null && clock.GetTimestamp() >= _retryAt;
        }
    }

    /// <summary>How long until <see cref="IsChangeDue"/>; infinite when there is no change to be tried.</summary>
    public TimeSpan DueIn
    {
        get
        {
            lock (_gate)
            {
                long now = clock.GetTimestamp();
                return _candidate is null ? Timeout.InfiniteTimeSpan
                    : now >= _retryAt ? TimeSpan.Zero
                    : clock.GetElapsedTime(now, _retryAt);
            }
        }
    }

    /// <summary>Opens a session with the change, when one is due; and with what worked before, when not or when that is
    /// refused.</summary>
    /// <param name="isReplaced">Whether it takes the place of a session that has just been closed.</param>
    public async Task<ControlSession> OpenAsync(bool isReplaced)
    {
        if (isReplaced) await Task.Delay(ReopenInterval, clock).ConfigureAwait(false);
        if (IsChangeDue)
        {
            if (await TryCandidateAsync().ConfigureAwait(false) is { } changed) return changed;

            await Task.Delay(ReopenInterval, clock).ConfigureAwait(false);
        }

        try
        {
            return await ControlSession.OpenAsync(Proven(), register).ConfigureAwait(false);
        }
        catch
        {
            // It may be the change that it fails for.
            lock (_gate) _retryAt = clock.GetTimestamp();
            throw;
        }
    }

    /// <summary>Nobody will open any more.</summary>
    public async ValueTask EndAsync()
    {
        lock (_gate) _changed?.TrySetResult(false);
        await Proven().DisposeAsync().ConfigureAwait(false);
    }

    private SessionSource Proven()
    {
        lock (_gate) return _proven;
    }

    private async Task<ControlSession?> TryCandidateAsync()
    {
        SessionSource? candidate;
        lock (_gate) candidate = _candidate;
        if (candidate is null) return null;

        try
        {
            ControlSession session = await ControlSession.OpenAsync(candidate, register).ConfigureAwait(false);
            lock (_gate)
            {
                // Changed once more meanwhile: the next turn tries that.
                if (!ReferenceEquals(candidate, _candidate)) return session;

                // The former one is left to the collector: without a pool of its own it holds nothing.
                _proven = candidate;
                _candidate = null;
                _changed!.TrySetResult(true);
            }

            return session;
        }
        catch (Exception)
        {
            lock (_gate)
            {
                if (!ReferenceEquals(candidate, _candidate)) return null;

                _retryAt = clock.GetTimestamp()
                    + (long)(CandidateRetryInterval.TotalSeconds * clock.TimestampFrequency);
                _changed!.TrySetResult(false);
            }

            return null;
        }
    }
}
