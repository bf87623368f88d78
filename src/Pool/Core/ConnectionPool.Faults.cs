namespace UPool.Core;

/// <content>What opens that fail or stay unanswered mean for those who wait.</content>
internal sealed partial class ConnectionPool
{
    /// <summary>What is wrong, in one plain line; null when the last open was answered well and nothing else has to be
    /// told.</summary>
    public string? Problem
    {
        get
        {
            lock (_gate)
            {
                return _judge.Fault?.Problem ?? _connector.Problem

                    // With a lease no other open may be sent beside it: the pool cannot grow.
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

            // It is in nobody's way any more: of an open that is wanted, or of the next probe.
            Grow_NeedsLock();
        }

        if (silence == OpenSilence.Lost) LogOpenUnanswered(_options.Name, problem);
        else if (silence == OpenSilence.News) LogOpenFailed(_options.Name, problem);
        RefusePendingIfDown();
    }

    /// <summary>
    /// After the permits went down to what is open, nothing can be opened, and no probe could ever tell that opens are
    /// answered again: what failed once is no problem any more.
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

    /// <summary>The pending hear at once that nothing will come, and why, rather than each at the end of its
    /// wait.</summary>
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
