namespace UPool.Core;

/// <content>The meaning of failed and unanswered opens for the pending rents.</content>
internal sealed partial class ConnectionPool
{
    /// <summary>The pool's problem in one line; null when the last open succeeded and nothing else is wrong.</summary>
    public string? Problem
    {
        get
        {
            lock (_gate)
            {
                return _judge.Fault?.Problem ?? _connector.Problem

                    // With a lease no second open may be sent beside an unanswered one: the pool cannot grow.
                    ?? (_needsLease ? _judge.Silence : null)
                    ?? _changed.Problem;
            }
        }
    }

    private bool IsDown_NeedsLock() => _books.OpenHere == 0 && OpenRules.IsDown(State_NeedsLock(wanted: 0));

    private void NoteUnanswered(Opening opening)
    {
        string problem = $"{_connector.Target} has not answered an open within "
            + $"{_options.OpenTimeout.TotalMilliseconds:0} ms.";
        OpenSilence silence;
        lock (_gate)
        {
            silence = _judge.NoteUnanswered(opening, problem);
            if (silence == OpenSilence.Over) return;

            _changed.NoteUnanswered(opening);
            CompleteStarts_NeedsLock(isOpen: false);

            // The unanswered open no longer blocks a wanted open or the next probe.
            Grow_NeedsLock();
        }

        if (silence == OpenSilence.Lost) LogOpenUnanswered(_options.Name, problem);
        else if (silence == OpenSilence.News) LogOpenFailed(_options.Name, problem);
        RefusePendingIfDown();
    }

    /// <summary>
    /// When the permits have shrunk to the open connections, nothing can be opened, and no probe can find out that
    /// opens succeed again: an earlier failure is no longer a problem.
    /// </summary>
    private void ForgetFault_NeedsLock()
    {
        if (_judge.FaultKind is FaultKind.None or FaultKind.Unanswered) return;

        int open = _books.OpenHere;
        if (open == 0 || open < _books.Permits || _judge.Opening + _books.Closing > 0) return;

        _judge.ForgetFault();
        Queue(static pool => pool.LogRecovered(pool._options.Name, pool._connector.Target));
    }

    private void OnProblemFound() => Guard(static pool => pool.RefusePendingIfDown());

    /// <summary>If no connection can come, refuses the pending rents at once with the reason; none waits for its
    /// timeout.</summary>
    private void RefusePendingIfDown()
    {
        List<PendingRent> refused;
        RentRefusal refusal;
        lock (_gate)
        {
            if (_pending.Count == 0 || !IsDown_NeedsLock()) return;

            (refused, refusal) = DequeueAll_NeedsLock(RefusalReason.Unavailable);
        }

        RefuseAll(refused, refusal);
    }
}
