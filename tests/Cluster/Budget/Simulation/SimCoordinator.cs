using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>
/// One activation of the coordinator, in a silo's process, with the real <see cref="Ledger"/>. It does the grain's
/// work: collects renewals, writes conditionally, then replies; looks at the server; kills the sessions of dead silos.
/// </summary>
internal sealed class SimCoordinator
{
    // The longest time for which renewals are collected.
    private const long MaxGather = 100 * SimScheduler.Millisecond;

    private const long ReclaimInterval = 500 * SimScheduler.Millisecond;
    private const long LookInterval = 500 * SimScheduler.Millisecond;

    // The default interval; the ledger can request an immediate look.
    private static readonly TimeSpan SeldomLook = TimeSpan.FromSeconds(5);

    private const int MaxBatch = 2000;

    private readonly SimCluster _cluster;
    private readonly SimSilo _host;
    private readonly string _writer;
    private readonly Queue<(LeaseRequest Request, SimSilo From)> _queue = [];
    private readonly Dictionary<string, long> _arrivals = [];
    private Ledger? _ledger;
    private TimeSpan _lookedAt;
    private int _version;
    private bool _isGathering;
    private bool _isReclaiming;

    public SimCoordinator(SimCluster cluster, SimSilo host, string writer)
    {
        _cluster = cluster;
        _host = host;
        _writer = writer;
        _host.Then(SimPoint.BeforeRead, 0, Activate);
    }

    public bool IsOver { get; private set; }

    public SimSilo Host => _host;

    public bool IsGone => IsOver || _host.IsDead;

    public Ledger? Ledger => _ledger;

    public TimeSpan Now => _host.Now;

    /// <summary>Receives a request that arrived at its process.</summary>
    public void Receive(LeaseRequest request, SimSilo from)
    {
        if (IsGone) return;

        if (_host.IsOff(SimSwitch.Sequence)) request = Renumber(request);
        if (_host.IsOff(SimSwitch.Grace))
            request = request with { Settings = request.Settings with { Grace = TimeSpan.Zero } };
        _queue.Enqueue((request, from));
        Pump();
    }

    public void Deactivate()
    {
        _cluster.Note(_writer, "is over");
        IsOver = true;
    }

    private void Activate() => _cluster.Call(
        _host,
        SimPoint.AfterRead,
        () => (_cluster.Server.Storage.Read(), _cluster.Server.Life),
        (read, life) =>
        {
            if (IsOver) return;

            _version = read.Version;
            _cluster.Note(_writer, "took over, of revision and version", read.State.Revision, _version);
            _ledger = new Ledger(read.State, _writer, life, _cluster.Settings, Now);
            EveryLook();
            EveryReclaim();
            Pump();
        },
        () => _host.Then(SimPoint.BeforeRead, 300 * SimScheduler.Millisecond, Activate));

    private void Pump()
    {
        if (_isGathering || _ledger is null || IsOver || _queue.Count == 0) return;

        _isGathering = true;
        _host.Then(SimPoint.BeforeApply, _cluster.Random.NextInt64(MaxGather), WriteBatch);
    }

    private void WriteBatch()
    {
        if (IsOver) return;

        var batch = new List<(LeaseRequest Request, SimSilo From)>();
        while (batch.Count < MaxBatch && _queue.TryDequeue(out var one)) batch.Add(one);
        LedgerBatch written = _ledger!.Apply([.. batch.Select(static one => one.Request)], Now);
        int onVersion = _version;
        bool isEarly = _host.IsOff(SimSwitch.WriteBeforeAnswer);
        if (isEarly) Answer(batch, _ledger.Commit(written, Now));
        _host.Then(SimPoint.BeforeWrite, 0, () => _cluster.Call<int?>(
            _host,
            SimPoint.AfterWrite,
            () => _cluster.Server.Storage.TryWrite(written.State, onVersion),
            version =>
            {
                if (IsOver) return;
                if (version is { } newer)
                {
                    _version = newer;
                    if (!isEarly) Answer(batch, _ledger.Commit(written, Now));
                    Done();
                }
                else if (isEarly) Done();
                else Resume(written);
            },
            () =>
            {
                if (isEarly) Done();
                else Resume(written);
            },
            mayBeLate: true));
    }

    /// <summary>After a conflict or a missing reply: reads storage to learn the outcome.</summary>
    private void Resume(LedgerBatch batch) => _cluster.Call(
        _host,
        SimPoint.AfterRead,
        () => _cluster.Server.Storage.Read(),
        read =>
        {
            if (IsOver) return;
            if (!_ledger!.TryResume(batch, read.State))
            {
                Deactivate();
                return;
            }

            _cluster.Note(_writer, "goes on, with revision and version", _ledger.State.Revision, read.Version);
            _version = read.Version;
            Done();
        },
        () => _host.Then(SimPoint.BeforeRead, 300 * SimScheduler.Millisecond, () => Resume(batch)));

    private void Done()
    {
        _isGathering = false;
        Pump();
    }

    private void Answer(List<(LeaseRequest Request, SimSilo From)> batch, IReadOnlyList<LeaseReply> replies)
    {
        for (int at = 0; at < batch.Count; at++)
        {
            (LeaseRequest request, SimSilo from) = batch[at];
            LeaseReply reply = replies[at];
            _cluster.Note(request.Incarnation, "is answered: request, permits", request.Sequence, reply.Permits);
            _host.Then(SimPoint.BeforeReply, 0, () => _cluster.Reply(_host, from, reply));
        }
    }

    private void EveryLook()
    {
        if (IsOver) return;

        _host.Then(SimPoint.BeforeLook, LookInterval, EveryLook);
        TimeSpan askedAt = Now;
        if (!_ledger!.WantsLook(askedAt) && askedAt - _lookedAt < SeldomLook) return;

        _lookedAt = askedAt;
        _cluster.Call(
            _host,
            SimPoint.AfterLook,
            () => (_cluster.Server.List(), _cluster.Server.Life.Start),
            (sessions, start) =>
            {
                if (IsOver) return;

                var life = new ServerLife(start, TimeSpan.Zero);
                foreach (DeploymentSession overdue in _ledger!.Observe(sessions, life, askedAt)) Kill(overdue.Id);
            },
            static () => { });
    }

    private void EveryReclaim()
    {
        if (IsOver) return;

        _host.Then(SimPoint.BeforeReclaim, ReclaimInterval, EveryReclaim);
        if (_isReclaiming) return;

        IReadOnlyList<string> gone = _ledger!.Reclaims(Now);
        if (gone.Count == 0) return;

        _isReclaiming = true;
        if (_host.IsOff(SimSwitch.AskingTheServer))
        {
            foreach (string incarnation in gone) _ledger.ReportGone(incarnation);
            _isReclaiming = false;
            return;
        }

        Reclaim([.. gone]);
    }

    /// <summary>Finds and kills their sessions until the server has none of them.</summary>
    private void Reclaim(HashSet<string> gone)
    {
        if (IsOver) return;

        _cluster.Call(
            _host,
            SimPoint.BeforeKill,
            _cluster.Server.List,
            sessions =>
            {
                var there = new HashSet<string>();
                foreach (DeploymentSession session in sessions)
                {
                    if (session.Incarnation is not { } incarnation || !gone.Contains(incarnation)) continue;

                    there.Add(incarnation);
                    Kill(session.Id);
                }

                foreach (string incarnation in gone.Except(there).ToArray())
                {
                    gone.Remove(incarnation);
                    _host.Then(SimPoint.BeforeReportGone, 0, () =>
                    {
                        _cluster.Note(incarnation, "is gone");
                        _ledger!.ReportGone(incarnation);
                    });
                }

                if (gone.Count > 0) _host.Then(SimPoint.BeforeReclaim, 50_000, () => Reclaim(gone));
                else _isReclaiming = false;
            },
            () => _host.Then(SimPoint.BeforeReclaim, ReclaimInterval, () => Reclaim(gone)));
    }

    private void Kill(long id) => _host.Then(SimPoint.BeforeKill, 0, () => _cluster.Call(
        _host, SimPoint.BeforeKill, () => _cluster.Server.Kill(id), static _ => { }, static () => { }));

    private LeaseRequest Renumber(LeaseRequest request)
    {
        long arrival = _arrivals.GetValueOrDefault(request.Incarnation) + 1;
        arrival = _arrivals[request.Incarnation] = Math.Max(arrival, request.Sequence);
        return request with { Sequence = arrival };
    }
}
