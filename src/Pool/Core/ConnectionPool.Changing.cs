namespace UPool.Core;

/// <content>Changed credentials: when an open tries them, and what its end means.</content>
internal sealed partial class ConnectionPool
{
    /// <summary>
    /// Opens with other settings from now on: one open tries them at once, within the permits, and when it succeeds all
    /// that were opened before close, idle ones at once and used ones when they come back. Until then the pool goes on
    /// with those before, and tries again.
    /// </summary>
    /// <returns>Whether the first try succeeded; false too when another change or the pool's end came first. Pending
    /// until the server has answered a try.</returns>
    public Task<bool> ChangeAsync(ICandidate candidate)
    {
        lock (_gate)
        {
            if (_draining) return Task.FromResult(false);

            Task<bool> changed = _changed.Put(candidate);
            Grow_NeedsLock();
            return changed;
        }
    }

    private bool IsCandidateDue_NeedsLock() => _changed.IsTaken && _changed.IsDue(_judge.IsPausing);

    /// <summary>Whether a connection that comes back makes room for a try of changed credentials.</summary>
    private bool MakesRoom_NeedsLock() =>
        _changed.IsTaken && OpenRules.MayOpen(State_NeedsLock(wanted: 0)) == OpenAnswer.MakeRoom;

    /// <summary>An open with changed credentials has succeeded; says whether they are in use from now on.</summary>
    private bool Adopt_NeedsLock(PhysicalConnection connection, Opening opening)
    {
        if (!_changed.TryAdopt(opening))
        {
            // Changed once more meanwhile: of no use any more.
            connection.MustDiscard = true;
            return false;
        }

        // What was opened before, or is being opened with the former ones, is of a past generation. So is this one if
        // its own has ended meanwhile, by a clear or with its lease.
        bool isCurrent = opening.Generation == _generation;
        Clear_NeedsLock();
        if (isCurrent) connection.Generation = _generation;
        return true;
    }

    /// <summary>An open with changed credentials has failed. That says nothing of the server: the next open goes on
    /// with what worked.</summary>
    private void OnCandidateFailed(Opening opening, Exception exception)
    {
        string problem = $"The changed credentials do not work yet, and the pool goes on with those before: "
            + _connector.Explain(exception);
        bool isNews;
        lock (_gate)
        {
            // Its permit is held through the pause: the server may count the failed session a moment longer.
            _judge.End(opening);
            _books.BeginPause();
            _judge.NoteCandidateFailed(opening);
            CompleteStarts_NeedsLock(isOpen: false);
            isNews = _changed.NoteFailed(opening, problem);
        }

        Queue(static (pool, time) => pool.EndPauseAsync(time, isOfProbe: false), OpenJudge.MinRetryInterval);
        if (isNews) LogChangeFailed(_options.Name, problem);
    }
}
