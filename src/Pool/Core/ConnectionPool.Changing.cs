namespace UPool.Core;

/// <content>Changed credentials: when an open tries them, and the meaning of its result.</content>
internal sealed partial class ConnectionPool
{
    /// <summary>
    /// Opens with other settings from now on. One open tries them at once, within the permits. If it succeeds, all
    /// earlier connections close: idle ones at once, used ones when returned. Until then the pool uses the previous
    /// settings and retries.
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

    /// <summary>Whether a returned connection must close to make room for a try of changed credentials.</summary>
    private bool MakesRoom_NeedsLock() =>
        _changed.IsTaken && OpenRules.MayOpen(State_NeedsLock(wanted: 0)) == OpenAnswer.MakeRoom;

    /// <summary>An open with changed credentials has succeeded. Returns whether they are in use from now on.</summary>
    private bool Adopt_NeedsLock(PhysicalConnection connection, Opening opening)
    {
        if (!_changed.TryAdopt(opening))
        {
            // The credentials were replaced meanwhile.
            connection.MustDiscard = true;
            return false;
        }

        // Earlier connections, open or being opened, belong to a past generation. So does this one if its own
        // generation has ended meanwhile, by a clear or with its lease.
        bool isCurrent = opening.Generation == _generation;
        Clear_NeedsLock();
        if (isCurrent) connection.Generation = _generation;
        return true;
    }

    /// <summary>An open with changed credentials has failed. That says nothing about the server: the next open uses the
    /// previous ones.</summary>
    private void OnCandidateFailed(Opening opening, Exception exception)
    {
        string problem = $"The changed credentials do not work yet; the pool still uses the previous ones: "
            + _connector.Explain(exception);
        bool isNews;
        lock (_gate)
        {
            // The permit is held through the pause: the server may count the failed session a moment longer.
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
