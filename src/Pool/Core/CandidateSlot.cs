namespace UPool.Core;

/// <summary>
/// Changed credentials that the server has not accepted yet, and the open that tries them. Only the server knows
/// whether they work: until an open with them succeeds, the pool uses the previous ones. Guarded by the pool's lock.
/// </summary>
internal sealed class CandidateSlot(TimeProvider clock)
{
    /// <summary>The time between two tries of rejected credentials. A try may cost an idle connection, and a server may
    /// lock an account that fails too often; a correction on the server takes effect within this time.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(10);

    private const string NotTried =
        "The changed credentials have not been tried yet; the pool still uses the previous ones.";

    private ICandidate? _candidate;
    private Opening? _trial;
    private string? _failure;
    private long _dueAt;
    private bool _isDueWithProbe;
    private TaskCompletionSource<bool>? _changed;

    /// <summary>Whether there are changed credentials that no open has succeeded with yet.</summary>
    public bool IsTaken => _candidate is not null;

    /// <summary>Why the changed credentials are not in use, in one line; null when there are none.</summary>
    public string? Problem => _candidate is null ? null : _failure ?? NotTried;

    /// <summary>Stores changed credentials and replaces those stored before.</summary>
    /// <returns>Whether the first try succeeded; false too when another change or the pool's end came first.</returns>
    public Task<bool> Put(ICandidate candidate)
    {
        End();
        _changed = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _candidate = candidate;
        _trial = null;
        _failure = null;
        _dueAt = clock.GetTimestamp();
        return _changed.Task;
    }

    /// <summary>Whether the next open must try the changed credentials. One try at a time; a lost try does not
    /// count.</summary>
    /// <param name="isPausing">Whether a probe must wait after a failed open.</param>
    public bool IsDue(bool isPausing) =>
        _candidate is not null
        && _trial is null or { IsUnanswered: true }
        && ((_isDueWithProbe && !isPausing) || clock.GetTimestamp() >= _dueAt);

    /// <summary>Makes this open the try.</summary>
    public void Take(Opening opening)
    {
        opening.Candidate = _candidate;
        _trial = opening;
        _isDueWithProbe = false;
    }

    /// <summary>An open was not sent after all. If it was the try, the next open becomes the try.</summary>
    public void PutBack(Opening opening)
    {
        if (ReferenceEquals(opening, _trial)) _trial = null;
    }

    /// <summary>A try has succeeded. False when its credentials were replaced meanwhile.</summary>
    public bool TryAdopt(Opening opening)
    {
        if (_candidate is not { } candidate || !ReferenceEquals(opening.Candidate, candidate)) return false;

        candidate.Adopt();
        _candidate = null;
        _trial = null;
        _failure = null;
        _changed?.TrySetResult(true);
        return true;
    }

    /// <summary>A try has failed. Returns whether the reason differs from the last one.</summary>
    public bool NoteFailed(Opening opening, string problem)
    {
        if (!ReferenceEquals(opening, _trial)) return false;

        bool isNews = _failure != problem;
        _trial = null;
        _failure = problem;
        DelayTry();
        _changed?.TrySetResult(false);
        return isNews;
    }

    /// <summary>The server does not answer an open. If that open was the try, and the server answers others, the try
    /// was lost; another one is due after <see cref="RetryInterval"/>.</summary>
    public void NoteUnanswered(Opening opening)
    {
        if (ReferenceEquals(opening, _trial)) DelayTry();
    }

    /// <summary>An open with the previous credentials has failed. The change may be the cause: the next probe tries the
    /// changed ones.</summary>
    public void NoteFormerFailed() => _isDueWithProbe = _candidate is not null;

    /// <summary>Ends the tries, and the wait for the first one.</summary>
    public void End() => _changed?.TrySetResult(false);

    private void DelayTry() =>
        _dueAt = clock.GetTimestamp() + (long)(RetryInterval.TotalSeconds * clock.TimestampFrequency);
}
