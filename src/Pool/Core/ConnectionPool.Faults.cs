namespace UPool.Core;

/// <content>What ails: opens that fail or stay unanswered, and what that means for those who wait.</content>
internal sealed partial class ConnectionPool
{
    // Guarded by _gate.
    private Fault? _fault;

    /// <summary>Why opens fail at present.</summary>
    /// <param name="Problem">The reason in one plain line.</param>
    /// <param name="Cause">The driver's exception, without its words; null while an open is merely unanswered.</param>
    /// <param name="IsNoPermit">The server has no room for one more session: not broken, just full.</param>
    private sealed record Fault(string Problem, Exception? Cause, bool IsNoPermit)
    {
        public bool IsUnanswered => Cause is null;
    }

    /// <summary>What ails, in one plain line; null when the last open was answered well.</summary>
    public string? Problem
    {
        get
        {
            lock (_gate) return _fault?.Problem ?? _connector.Problem ?? _candidateProblem;
        }
    }

    private bool IsDown_NeedsLock() =>
        _open.Count == 0 && (_fault is { IsNoPermit: false } || (_fault is null && _connector.Problem is not null));

    /// <summary>
    /// An open that stays unanswered keeps its permit until its own end: the driver cannot close it, and a server that
    /// only sleeps still has it in its accept queue and counts it when it wakes up (INV-1). What it means for the
    /// others depends on who else was answered.
    /// </summary>
    /// <remarks>
    /// Nobody since it was sent: the server as a whole does not answer. It is left as the one probe, and the pending
    /// hear so. Anybody (a later open, a ping, a reset, a close that the server has confirmed): the server answers, and
    /// the open was lost on its own way. Then it is one held permit, and the others are used as ever. And when a later
    /// one was refused, that is the news, and the probes after it notice when the server is back.
    /// </remarks>
    private void NoteUnanswered(Opening opening)
    {
        string problem = $"{_connector.Target} has not answered an open within "
            + $"{_options.OpenTimeout.TotalMilliseconds:0} ms.";
        bool isNews = false, isLost;
        lock (_gate)
        {
            // It may have ended just as its time ran out.
            if (opening.HasEnded) return;

            opening.IsUnanswered = true;
            opening.IsLate = false;
            _lateOpens--;
            _unanswered++;
            _newestUnanswered = Math.Max(_newestUnanswered, opening.Number);
            isLost = _sentAtAnswer >= opening.Number;
            if (!isLost && _newestFailed < opening.Number)
                isNews = SetFault_NeedsLock(new Fault(problem, null, IsNoPermit: false));

            // It is in nobody's way any more: of an open that is wanted, or of the next probe.
            Grow_NeedsLock();
        }

        if (isLost) LogOpenUnanswered(_options.Name, problem);
        else if (isNews) LogOpenFailed(_options.Name, problem);
        RefusePendingIfDown();
    }

    /// <summary>The server has answered something that is no open; says whether it had been silent until now.</summary>
    private bool NoteAnswered_NeedsLock()
    {
        _sentAtAnswer = _sent;
        if (_fault is not { IsUnanswered: true }) return false;

        _fault = null;
        return true;
    }

    /// <summary>Says whether it is another one than before, and so worth a line in the log.</summary>
    private bool SetFault_NeedsLock(Fault fault)
    {
        bool isNews = _fault?.Problem != fault.Problem;
        _fault = fault;
        return isNews;
    }

    /// <summary>
    /// After the permits went down to what is open, nothing can be opened, and no probe could ever tell that opens are
    /// answered again: what failed once is no problem any more.
    /// </summary>
    private void ForgetFault_NeedsLock()
    {
        if (_open.Count == 0 || _open.Count < _permits || _opening + _closing > 0) return;

        _fault = null;
        Queue(static (pool, _) => Run(() => pool.LogRecovered(pool._options.Name, pool._connector.Target)), 0);
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
            if (!IsDown_NeedsLock()) return;

            refusal = Refuse_NeedsLock(RefusalReason.Unavailable);
            refused = DequeueAll_NeedsLock(RefusalReason.Unavailable);
        }

        foreach (PendingRent rent in refused) rent.Complete(new RentOutcome(refusal));
    }
}
