namespace UPool.Core;

/// <content>
/// Changed credentials. Nobody but the server knows whether they work, and an open tells: until one has succeeded with
/// them, all else stays as it was.
/// </content>
internal sealed partial class ConnectionPool
{
    // Between two tries with credentials that were refused. A try may cost an idle connection, and a server may lock an
    // account that fails too often; who corrects the account on the server waits no longer than this.
    private static readonly TimeSpan CandidateRetryInterval = TimeSpan.FromSeconds(10);

    // All below is guarded by _gate.
    private ICandidate? _candidate;
    private string? _candidateProblem;
    private bool _isCandidateDue;    // the next open tries it; false while one does, and until the next try
    private long _candidateRetryAt;
    private TaskCompletionSource<bool>? _changed;

    /// <summary>
    /// Opens with other settings from now on: one open tries them at once, within the permits, and when it succeeds all
    /// that were opened before close, idle ones at once and used ones when they come back. Until then the pool goes on
    /// with those before, and tries again.
    /// </summary>
    /// <returns>Whether the first try succeeded; false too when another change or the pool's end came first.</returns>
    public Task<bool> ChangeAsync(ICandidate candidate)
    {
        lock (_gate)
        {
            _changed?.TrySetResult(false);
            if (_draining) return Task.FromResult(false);

            _changed = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            _candidate = candidate;
            _candidateProblem = null;
            _isCandidateDue = true;
            Grow_NeedsLock();
            return _changed.Task;
        }
    }

    /// <summary>Starts the open that tries a candidate which is due; makes room for it when there is none.</summary>
    private void TryCandidate_NeedsLock()
    {
        if (!_isCandidateDue || _opening > _unanswered) return;

        if (Sessions_NeedsLock() < _permits) StartOpen_NeedsLock();

        // One at a time makes room, and one that is closing already is as good.
        else if (_closing == 0 && _idle.Count > 0) CloseOldestIdle_NeedsLock(CloseReason.Cleared);
    }

    /// <summary>Whether a connection that comes back makes room for a candidate which is due.</summary>
    private bool MakesRoom_NeedsLock() =>
        _isCandidateDue && _opening == _unanswered && _closing == 0 && Sessions_NeedsLock() >= _permits;

    /// <summary>What the next open is to be tried with; null for what the connector opens with.</summary>
    private ICandidate? TakeCandidate_NeedsLock()
    {
        if (!_isCandidateDue) return null;

        _isCandidateDue = false;
        return _candidate;
    }

    /// <summary>An open with a candidate has succeeded; says whether that is news.</summary>
    private bool Adopt_NeedsLock(PhysicalConnection connection, ICandidate candidate)
    {
        if (!ReferenceEquals(candidate, _candidate))
        {
            // Changed once more meanwhile: of no use any more.
            connection.MustDiscard = true;
            return false;
        }

        candidate.Adopt();
        _candidate = null;
        _candidateProblem = null;
        _changed?.TrySetResult(true);

        // What was opened before, or is being opened with the former ones, is of a past generation.
        connection.Generation = ++_generation;
        CloseIdle_NeedsLock(CloseReason.Cleared);
        return true;
    }

    /// <summary>An open with a candidate has failed. That says nothing of the server: the next open goes on with what
    /// worked.</summary>
    private void OnCandidateFailed(Opening opening, Exception exception)
    {
        string problem = $"The changed credentials do not work yet, and the pool goes on with those before: "
            + _connector.Explain(exception);
        bool isNews = false;
        lock (_gate)
        {
            // Its permit is held through the pause: the server may count the failed session a moment longer.
            EndOpen_NeedsLock(opening);
            _closing++;
            if (opening.IsUnanswered && _fault is { IsUnanswered: true }) _fault = null;
            if (ReferenceEquals(opening.Candidate, _candidate))
            {
                isNews = _candidateProblem != problem;
                _candidateProblem = problem;
                _candidateRetryAt = _clock.GetTimestamp() + Ticks(CandidateRetryInterval);
                _changed?.TrySetResult(false);
            }
        }

        Queue(static (pool, time) => pool.RetryAfterAsync(time), MinOpenRetryInterval);
        if (isNews) LogChangeFailed(_options.Name, problem);
    }

    /// <summary>The former ones have failed as well: it may be the change that they fail for.</summary>
    private void TryCandidateNext_NeedsLock()
    {
        if (_candidate is not null) _isCandidateDue = true;
    }

    private void RetryCandidate_NeedsLock(long now)
    {
        if (_candidateProblem is null || _candidate is null || now < _candidateRetryAt) return;

        _candidateRetryAt = now + Ticks(CandidateRetryInterval);
        _isCandidateDue = true;
        Grow_NeedsLock();
    }
}
