using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>
/// A pool as the design has it: the lease's end is compared at every rent, at every open and again after the handshake;
/// a session is registered before its first use; one open at a time; a closed session keeps its permit until the server
/// says that it is gone.
/// </summary>
internal sealed class SimPool
{
    // After a failed open, and between two questions whether a session is gone.
    private const long RetryPause = 200 * SimScheduler.Millisecond;

    private readonly SimSilo _silo;
    private readonly List<SimSession> _idle = [];
    private readonly HashSet<SimSession> _used = [];
    private int _closing;
    private int _peak;
    private SimAttempt? _attempt;

    public SimPool(SimSilo silo) => _silo = silo;

    /// <summary>Work that wants a connection each.</summary>
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

    /// <summary>What an open could still make of a lease that is long gone, lease and grace: the process is stopped, or
    /// dead, or hangs inside it. What INV-2 allows for.</summary>
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

    /// <summary>The same figures, without taking the peak.</summary>
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

    /// <summary>Rents what is idle and wanted, and opens one more when that is not enough.</summary>
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

        // Past the last check: from here to the next one the process may be stopped for as long as it likes.
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

    /// <summary>Its process died: an open that was not sent will never be.</summary>
    public void OnDied()
    {
        if (_attempt is { IsSent: false } or { Session.IsEnded: true }) _attempt = null;
    }

    /// <summary>The server has ended a session: its client hears of it in a while.</summary>
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

    /// <summary>The connection of an open never reached the server.</summary>
    private void EndAttempt()
    {
        if (_attempt is not { } attempt) return;

        // Its permit is held through the pause, as the pool does.
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

    /// <summary>The lease ended during an open: the session is closed, and it counts as this open's until the server
    /// has dropped it.</summary>
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

    /// <summary>Closed here; the permit is free when the server says so (INV-1).</summary>
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
                // By its id alone, like a real KILL; after a restart it may be another's, who will survive it.
                bool isThere = !session.IsEnded && _silo.Cluster.Server.Kill(session.Id);
                if (isThere) Again(session, gone, 5 * SimScheduler.Millisecond);
                else _silo.Then(SimPoint.BeforeClose, _silo.Cluster.Millis(0, 2), gone);
            },
            () => Again(session, gone, RetryPause))));

    private void Again(SimSession session, Action gone, long pause) =>
        _silo.Then(SimPoint.BeforeClose, pause, () => AskUntilGone(session, gone));

    private void NotePeak() => _peak = Math.Max(_peak, _used.Count + Pending);

    /// <summary>An open, from its last check until its session is registered and was looked at again, or is
    /// gone.</summary>
    private sealed class SimAttempt
    {
        public bool IsSent { get; set; }

        /// <summary>Whether lease and grace of its last check had run out when the next lease came.</summary>
        public bool IsOverdue { get; set; }

        public SimSession? Session { get; set; }

        public bool IsClosing { get; set; }
    }
}
