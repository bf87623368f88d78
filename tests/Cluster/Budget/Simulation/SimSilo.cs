using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>One incarnation of a silo: its pool, and its agent with the real <see cref="LeaseHolder"/>.</summary>
internal sealed class SimSilo : SimProcess
{
    // The time to close, with a margin: used connections are cut off this long before everything must be closed.
    private static readonly TimeSpan CutOffMargin = TimeSpan.FromSeconds(1);

    private readonly LeaseHolder _holder;
    private long _timer;
    private long _lastSequence;
    private int _rights;

    public SimSilo(SimCluster cluster, string incarnation, int ceiling, int weight, BudgetSettings settings)
        : base(cluster, incarnation)
    {
        Ceiling = ceiling;
        Weight = weight;
        Pool = new SimPool(this);
        _holder = new LeaseHolder(incarnation, LeaseRole.Silo, ceiling, settings, cluster.Random, weight);
    }

    public SimPool Pool { get; }

    public int Ceiling { get; }

    public int Weight { get; }

    /// <summary>The number of its pool's sessions on the server.</summary>
    public int ServerSessions { get; set; }

    /// <summary>The end of its partition from the network.</summary>
    public long PartitionedUntil { get; set; }

    public bool IsLeaving { get; private set; }

    public bool HasLease => _holder.PermitsAt(Now) > 0;

    public int Permits => IsDead ? 0 : _holder.PermitsAt(Now);

    public BudgetSettings Settings
    {
        get => _holder.Settings;
        set => _holder.Settings = value;
    }

    public bool IsOff(SimSwitch one) => Cluster.Faults.Off == one;

    public void Start()
    {
        ConnectControl();
        Renew();
    }

    /// <summary>Opens one control connection, so that each silo leaves something to reclaim.</summary>
    public void ConnectControl()
    {
        if (IsDead) return;

        Cluster.Server.Connect(
            this,
            isControl: true,
            session =>
            {
                session.IsAuthenticated = true;
                Cluster.Server.Register(session);
            },
            () => Then(SimPoint.BeforeConnect, SimScheduler.Second, ConnectControl));
    }

    /// <summary>Schedules the next renewal. Call it whenever the pool's figures change.</summary>
    public void Renew()
    {
        if (IsDead) return;

        long at = Math.Max(Cluster.Time, TrueTime(_holder.NextAskAt(Pool.Glance())));
        long timer = ++_timer;
        Cluster.Scheduler.At(at, () =>
        {
            if (timer == _timer) Then(SimPoint.BeforeAsk, 0, Ask);
        });
    }

    public void Leave()
    {
        if (IsLeaving) return;

        IsLeaving = true;
        Pool.Drain();
        _holder.Leave();
        NoteRights();
        Renew();
    }

    /// <summary>The most sessions that it may have or has.</summary>
    public int RightsNow() => Math.Max(Permits, ServerSessions);

    /// <summary>Records a change of its rights or its sessions. The passage of time only reduces rights and is not
    /// recorded.</summary>
    public void NoteRights()
    {
        int rights = RightsNow();
        Cluster.Rights += rights - _rights;
        _rights = rights;
    }

    private void Ask()
    {
        LeaseFigures figures = Pool.Figures();
        LeaseRequest request = _holder.Ask(figures, Now);
        _lastSequence = request.Sequence;
        Cluster.Note(Name, "asks: request, permits", request.Sequence, request.Permits);
        Then(SimPoint.BeforeSend, 0, () => Send(request));
        Renew();
    }

    private void Send(LeaseRequest request)
    {
        Cluster.Send(this, request);
        long again = TrueTime(Now + _holder.ResendInterval);
        Cluster.Scheduler.At(again, () => Then(SimPoint.BeforeSend, 0, () =>
        {
            if (_holder.Awaits(request)) Send(request);
        }));
    }

    public void Receive(LeaseReply reply)
    {
        if (IsOff(SimSwitch.Sequence)) reply = reply with { RequestSequence = _lastSequence };
        if (IsOff(SimSwitch.Grace)) reply = reply with { Grace = Settings.Grace };
        if (_holder.Accept(reply, Now) is { } terms)
        {
            Cluster.Note(Name, "applies: grant, permits", terms.Grant, terms.Permits);
            Pool.SetLease(IsLeaving ? 0 : terms.Permits, terms.End, terms.CutOff);
            _holder.MarkApplied(terms);
            NoteRights();
            WatchEnd(terms);
            if (_holder.HasLeft) Exit();
        }

        Renew();
    }

    private void WatchEnd(LeaseTerms terms)
    {
        long end = TrueTime(terms.End);
        Cluster.Scheduler.At(end, () => Then(SimPoint.LeaseEnd, 0, () =>
        {
            if (_holder.Terms.End == terms.End) Pool.OnLeaseEnd();
        }));
        Cluster.Scheduler.At(TrueTime(terms.CutOff - CutOffMargin), () => Then(SimPoint.LeaseEnd, 0, () =>
        {
            if (_holder.Terms.End == terms.End) Pool.OnCutOff();
        }));
    }
}
