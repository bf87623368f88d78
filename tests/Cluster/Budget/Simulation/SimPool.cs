using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>
/// The pool's design in small: it compares the lease's end at every rent, at every open and again after the handshake;
/// registers a session before its first use; opens one at a time; and a closed session keeps its permit until the
/// server confirms that it is gone.
/// </summary>
internal sealed class SimPool
{
    // After a failed open, and between two checks whether a session is gone.
    private const long RetryPause = 200 * SimScheduler.Millisecond;

    private readonly SimSilo _silo;
    private readonly List<SimSession> _idle = [];
    private readonly HashSet<SimSession> _used = [];
    private int _closing;
    private int _peak;
    private SimAttempt? _attempt;

    public SimPool(SimSilo silo) => _silo = silo;

    /// <summary>The number of connections that the current work needs.</summary>
    public int Demand { get; private set; }

    public int Permits { get; private set; }

    public TimeSpan LeaseEnd { get; private set; }

    public TimeSpan CutOff { get; private set; }

    public bool IsDraining { get; private set; }

    public bool IsOpening => _attempt is not null;

    public int Used => _used.Count;

    public int Sessions => (_attempt is { IsClosing: false } ? 1 : 0) + _idle.Count + _used.Count + _closing;

    private int Pending => IsDraining ? 0 : Math.Max(0, Demand - _used.Count);

    private bool IsLeaseOver => _silo.Now >= LeaseEnd;

    /// <summary>Whether an open may outlive its lease and grace because the process stopped, died or hangs inside it.
    /// INV-2 allows for this.</summary>
    public bool IsStoppedInAnOpen => _attempt is { } attempt && (attempt.IsOverdue || _silo.Now >= CutOff);

    public LeaseFigures Figures()
    {
        var figures = new LeaseFigures
        {
            Opening = _attempt is { IsClosing: false } ? 1 : 0,
            Idle = _idle.Count,
            Used = _used.Count,
            Closing = _closing,
            Pending = Pending,
            Peak = Math.Max(_peak, _used.Count + Pending),
        };
        _peak = 0;
        return figures;
    }

    /// <summary>The same figures, without resetting the peak.</summary>
    public LeaseFigures Glance() => new() { Idle = Sessions - _used.Count, Used = _used.Count, Pending = Pending };

    public void SetDemand(int demand)
    {
        Demand = demand;
        NotePeak();
        Work();
        CloseSurplus();
        _silo.Renew();
    }

    public void SetLease(int permits, TimeSpan end, TimeSpan cutOff)
    {
        if (_attempt is { } attempt && _silo.Now >= CutOff) attempt.IsOverdue = true;
        Permits = permits;
        LeaseEnd = end;
        CutOff = cutOff;
        CloseSurplus();
        Work();
    }

    public void Drain()
    {
        IsDraining = true;
        Permits = 0;
        CloseSurplus();
    }

    /// <summary>Rents idle connections as needed, and opens one more if they are not enough.</summary>
    public void Work()
    {
        if (IsDraining || (IsLeaseOver && !_silo.IsOff(SimSwitch.LeaseCheck))) return;

        while (_used.Count < Demand && _idle.Count > 0)
        {
            SimSession session = _idle[^1];
            _idle.RemoveAt(_idle.Count - 1);
            _used.Add(session);
            session.IsBusy = true;
            _silo.Then(SimPoint.BeforeReturn, _silo.Cluster.HoldTime(), () => Return(session));
        }

        NotePeak();
        if (_used.Count >= Demand || _attempt is not null || Sessions >= Permits) return;

        // After the last check: the process may stop here for any time before the next one.
        var attempt = _attempt = new SimAttempt();
        _silo.Then(SimPoint.BeforeConnect, 0, () => Connect(attempt));
    }

    public void OnLeaseEnd()
    {
        while (_idle.Count > 0) CloseIdle();
        _silo.NoteRights();
    }

    public void OnCutOff()
    {
        foreach (SimSession session in _used.ToArray()) Close(session);
    }

    /// <summary>The process died: an unsent open will never be sent.</summary>
    public void OnDied()
    {
        if (_attempt is { IsSent: false } or { Session.IsEnded: true }) _attempt = null;
    }

    /// <summary>The server closed a session; its client notices after a delay.</summary>
    public void OnEnded(SimSession session)
    {
        if (_attempt?.Session == session && (_silo.IsDead || _attempt.IsClosing)) _attempt = null;
        if (_silo.IsDead) return;

        _silo.Then(SimPoint.BeforeClose, _silo.Cluster.Millis(0, 30), () =>
        {
            if (_idle.Remove(session) || _used.Remove(session)) Confirm(session);
            else if (_attempt?.Session == session) EndAttempt();
        });
    }

    /// <summary>Ends an open whose connection never reached the server.</summary>
    private void EndAttempt()
    {
        if (_attempt is not { } attempt) return;

        // The permit is held through the pause, as in the pool.
        _silo.Then(SimPoint.BeforeClose, RetryPause, () =>
        {
            if (_attempt == attempt) _attempt = null;
            Work();
        });
    }

    private void Connect(SimAttempt attempt)
    {
        attempt.IsSent = true;
        _silo.Cluster.Scheduler.After(_silo.Cluster.Millis(0, 3), () => _silo.Cluster.Server.Connect(
            _silo,
            isControl: false,
            session =>
            {
                attempt.Session = session;
                _silo.Then(SimPoint.AfterHandshake, _silo.Cluster.Millis(0, 4), () => OnHandshake(attempt));
            },
            () =>
            {
                if (_silo.IsDead) _attempt = null;
                else EndAttempt();
            }));
    }

    private void OnHandshake(SimAttempt attempt)
    {
        SimSession session = attempt.Session!;
        if (_attempt != attempt || session.IsEnded)
        {
            EndAttempt();
            return;
        }

        session.IsAuthenticated = true;
        if (IsLeaseOver && !_silo.IsOff(SimSwitch.LeaseCheck))
        {
            CloseAttempt(attempt);
            return;
        }

        _silo.Then(SimPoint.BeforeRegister, 0, () => _silo.Cluster.Scheduler.After(
            _silo.Cluster.Millis(0, 3),
            () => _silo.Cluster.Server.Reach(() => OnRegistered(attempt, _silo.Cluster.Server.Register(session)),
                () => OnRegistered(attempt, false))));
    }

    private void OnRegistered(SimAttempt attempt, bool isRegistered) => _silo.Then(
        SimPoint.AfterRegister, _silo.Cluster.Millis(0, 3), () =>
        {
            if (_attempt != attempt) return;
            if (!isRegistered || attempt.Session!.IsEnded)
            {
                EndAttempt();
                return;
            }

            bool isOver = IsLeaseOver && !_silo.IsOff(SimSwitch.LeaseCheck);
            if (isOver || Sessions > Permits || IsDraining)
            {
                CloseAttempt(attempt);
                return;
            }

            _attempt = null;
            _idle.Add(attempt.Session!);
            Work();
        });

    /// <summary>The lease ended during an open: closes the session, which counts as this open's until the server has
    /// dropped it.</summary>
    private void CloseAttempt(SimAttempt attempt)
    {
        attempt.IsClosing = true;
        _closing++;
        AskUntilGone(attempt.Session!, () =>
        {
            if (_attempt == attempt) _attempt = null;
            _closing--;
            Work();
            _silo.Renew();
        });
    }

    private void Return(SimSession session)
    {
        if (!_used.Remove(session)) return;

        session.IsBusy = false;
        if (session.IsEnded)
        {
            Confirm(session);
            return;
        }

        _idle.Add(session);
        if (Sessions > Permits || IsDraining || (IsLeaseOver && !_silo.IsOff(SimSwitch.LeaseCheck))) CloseIdle();
        Work();
        if (_used.Count < Permits) _silo.Renew();
    }

    private void CloseSurplus()
    {
        while (_idle.Count > 0 && (IsDraining || Sessions - _closing > Permits)) CloseIdle();
    }

    private void CloseIdle()
    {
        SimSession session = _idle[0];
        _idle.RemoveAt(0);
        Close(session);
    }

    private void Close(SimSession session)
    {
        _used.Remove(session);
        Confirm(session);
    }

    /// <summary>After a close: frees the permit when the server confirms that the session is gone (INV-1).</summary>
    private void Confirm(SimSession session)
    {
        _closing++;
        AskUntilGone(session, () =>
        {
            _closing--;
            Work();
            _silo.Renew();
        });
    }

    private void AskUntilGone(SimSession session, Action gone) => _silo.Then(SimPoint.BeforeClose, 0, () =>
        _silo.Cluster.Scheduler.After(_silo.Cluster.Millis(0, 2), () => _silo.Cluster.Server.Reach(
            () =>
            {
                // By id alone, like a real KILL; after a restart the id may belong to another session, whose owner must
                // survive that.
                bool isThere = !session.IsEnded && _silo.Cluster.Server.Kill(session.Id);
                if (isThere) Again(session, gone, 5 * SimScheduler.Millisecond);
                else _silo.Then(SimPoint.BeforeClose, _silo.Cluster.Millis(0, 2), gone);
            },
            () => Again(session, gone, RetryPause))));

    private void Again(SimSession session, Action gone, long pause) =>
        _silo.Then(SimPoint.BeforeClose, pause, () => AskUntilGone(session, gone));

    private void NotePeak() => _peak = Math.Max(_peak, _used.Count + Pending);

    /// <summary>An open, from its last check until its session is registered and checked again, or is gone.</summary>
    private sealed class SimAttempt
    {
        public bool IsSent { get; set; }

        /// <summary>Whether lease and grace of its last check had expired when the next lease came.</summary>
        public bool IsOverdue { get; set; }

        public SimSession? Session { get; set; }

        public bool IsClosing { get; set; }
    }
}
