namespace UPool.MySql;

/// <summary>
/// Opens the sessions of the kill lane, with the proven credentials or with changed ones until the server has accepted
/// those.
/// </summary>
internal sealed class LaneSource(SessionSource source, SessionRegister? register, TimeProvider clock)
{
    // The interval between two attempts with rejected credentials; the same as a pool's.
    private static readonly TimeSpan CandidateRetryInterval = TimeSpan.FromSeconds(10);

    // The delay before a session is opened in place of a closed or refused one: long enough for the server to have
    // dropped that one, because the lane has no other session to ask over.
    private static readonly TimeSpan ReopenInterval = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();

    // Guarded by _gate.
    private SessionSource _proven = source;
    private SessionSource? _candidate;
    private TaskCompletionSource<bool>? _changed;
    private long _retryAt;

    /// <summary>Changes the source of new sessions.</summary>
    /// <returns>Whether the first attempt succeeded.</returns>
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

    /// <summary>Whether a change must be tried now, in place of the current session.</summary>
    public bool IsChangeDue
    {
        get
        {
            lock (_gate) return _candidate is not null && clock.GetTimestamp() >= _retryAt;
        }
    }

    /// <summary>The time until <see cref="IsChangeDue"/>; infinite if no change is pending.</summary>
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

    /// <summary>Opens a session with the change if one is due; if none is, or the server rejects it, with the former
    /// credentials.</summary>
    /// <param name="isReplaced">Whether the session replaces one that has just been closed.</param>
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
            // The former credentials may fail because the server has changed them already: try the change at once.
            lock (_gate) _retryAt = clock.GetTimestamp();
            throw;
        }
    }

    /// <summary>Ends the source: no session is opened any more.</summary>
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
                // Changed once more meanwhile: the next round tries the newer change.
                if (!ReferenceEquals(candidate, _candidate)) return session;

                // The former source is left to the garbage collector: without a pool of its own it holds nothing.
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
