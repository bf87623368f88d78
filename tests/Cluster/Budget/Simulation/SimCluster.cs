using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>
/// A deployment: silos, coordinators, one server, the network between them, and faults. After every step it compares
/// the server's sessions, and the rights of all silos to have them, with the budget (INV-2).
/// </summary>
internal sealed partial class SimCluster
{
    private readonly List<SimSilo> _silos = [];

    // Dead silos whose sessions the server may still have.
    private readonly List<SimSilo> _dead = [];

    private readonly List<SimCoordinator> _coordinators = [];
    private SimCoordinator? _current;

    // The last events, for a violation's message.
    private readonly (long Time, string Who, string What, long One, long Other)[] _notes =
        new (long, string, string, long, long)[600];

    private long _noted;
    private int _lastName;

    public SimCluster(uint seed, int silos, BudgetSettings settings, SimFaults faults, int ceiling, long hold)
    {
        Seed = seed;
        Random = new Random((int)seed);
        Settings = settings;
        Faults = faults;
        Ceiling = ceiling;
        Hold = hold;
        Limit = BudgetSum.Of(settings).Shared;
        Server = new SimServer(this);
        for (int at = 0; at < silos; at++) StartSilo();
        EverySecond();
    }

    /// <summary>Creates a cluster whose pools share a number of permits; each pool may have all of them.</summary>
    public static SimCluster Create(uint seed, int silos, int shared, SimFaults faults)
    {
        BudgetSettings settings = new BudgetOptions { MaxSilos = 4 * silos + 4, MaxClients = 0 }.ToSettings(0);
        BudgetSum sum = BudgetSum.Of(settings);
        settings = settings with { ServerConnections = sum.Needed - sum.Floors + shared };
        return new SimCluster(seed, silos, settings, faults, shared, 200 * SimScheduler.Millisecond);
    }

    public uint Seed { get; }

    public Random Random { get; }

    public SimScheduler Scheduler { get; } = new();

    public SimServer Server { get; }

    public BudgetSettings Settings { get; set; }

    public SimFaults Faults { get; set; }

    public int Ceiling { get; }

    /// <summary>The average time for which a connection is used.</summary>
    public long Hold { get; }

    /// <summary>The most sessions that all pools together may have.</summary>
    public int Limit { get; set; }

    /// <summary>The sum of all silos' rights as last recorded; never too low.</summary>
    public int Rights { get; set; }

    /// <summary>The most concurrent sessions so far.</summary>
    public int MaxSessions { get; private set; }

    public long Time => Scheduler.Time;

    public IReadOnlyList<SimSilo> Silos => _silos;

    public Ledger? Ledger => _current is { IsGone: false } ? _current.Ledger : null;

    public SimCoordinator? Coordinator => _current;

    public SimSilo StartSilo(int weight = 1, BudgetSettings? settings = null)
    {
        var silo = new SimSilo(this, $"silo-{++_lastName}", Ceiling, weight, settings ?? Settings);
        _silos.Add(silo);
        silo.Start();
        return silo;
    }

    public void OnDied(SimProcess process)
    {
        var silo = (SimSilo)process;
        _silos.Remove(silo);
        _dead.Add(silo);
        silo.Pool.OnDied();
        silo.NoteRights();
    }

    public void RunFor(long duration) => Scheduler.RunUntil(Time + duration, Check);

    public long Millis(int from, int to) => Random.NextInt64(from * 1000L, to * 1000L + 1);

    public long HoldTime()
    {
        if (Faults.LongStatements > 0 && Random.NextDouble() < Faults.LongStatements)
            return Random.NextInt64(40 * SimScheduler.Second);

        return Hold / 2 + Random.NextInt64(Hold);
    }

    /// <summary>Sends a silo's request to the assumed address of the coordinator.</summary>
    public void Send(SimSilo from, LeaseRequest request)
    {
        if (Locate() is { } coordinator)
            Deliver(from, coordinator.Host, SimPoint.BeforeApply, () => coordinator.Receive(request, from));
    }

    public void Reply(SimSilo host, SimSilo to, LeaseReply reply) =>
        Deliver(host, to, SimPoint.BeforeAccept, () => to.Receive(reply));

    /// <summary>Executes a process's request to the server over its control connection. The reply may be lost before or
    /// after the work, and the work may run long after the caller has given up.</summary>
    public void Call<T>(
        SimProcess client, SimPoint answered, Func<T> work, Action<T> done, Action failed, bool mayBeLate = false)
    {
        bool isOver = false;
        bool isUnknown = Faults.UnknownWrites > 0 && Random.NextDouble() < Faults.UnknownWrites;
        int kind = Random.Next(3);
        long delay = Random.NextInt64(mayBeLate ? Faults.StorageDelay : 2 * SimScheduler.Millisecond);
        if (isUnknown && kind == 0) delay = mayBeLate ? Millis(100, 8_000) : Millis(100, 1_000);
        Scheduler.After(delay, () =>
        {
            if (isUnknown && kind == 1) return;

            Server.Reach(
                () =>
                {
                    T result = work();
                    if (isUnknown) return;

                    client.Then(answered, Millis(0, 4), () =>
                    {
                        if (isOver) return;

                        isOver = true;
                        done(result);
                    });
                },
                () => client.Then(answered, Millis(0, 4), Fail));
        });

        // The command timeout, also on a frozen server.
        client.Then(answered, 3 * SimScheduler.Second, Fail);

        void Fail()
        {
            if (isOver) return;

            isOver = true;
            failed();
        }
    }

    public void Call<TOne, TOther>(
        SimProcess client, SimPoint answered, Func<(TOne, TOther)> work, Action<TOne, TOther> done, Action failed) =>
        Call(client, answered, work, both => done(both.Item1, both.Item2), failed);

    private void Deliver(SimSilo from, SimSilo to, SimPoint point, Action arrive)
    {
        if (from != to && (from.PartitionedUntil > Time || to.PartitionedUntil > Time)) return;
        if (from != to && Random.NextDouble() < Faults.Loss) return;

        int copies = Random.NextDouble() < Faults.Duplicates ? 2 : 1;
        while (copies-- > 0)
        {
            long delay = Random.NextDouble() < Faults.Delays ? Random.NextInt64(Faults.LongDelay) : Millis(0, 5);
            to.Then(point, delay, arrive);
        }
    }

    private void Check()
    {
        int sessions = Server.PoolSessions;
        if (sessions > MaxSessions) MaxSessions = sessions;
        if (sessions <= Limit && Rights <= Limit) return;
        if (sessions <= Limit)
        {
            // Rights are recorded when they change; the passage of time reduces them without an event.
            foreach (SimSilo silo in _silos) silo.NoteRights();
            if (Rights <= Limit) return;
        }

        int stopped = _silos.Count(static silo => silo.Pool.IsStoppedInAnOpen)
            + _dead.Count(static silo => silo.Pool.IsStoppedInAnOpen);
        if (sessions <= Limit + stopped && Rights <= Limit + stopped) return;

        throw Violation(sessions > Limit + stopped
            ? $"{sessions} sessions on the server, with {Limit} permits and {stopped} processes stopped in an open"
            : $"rights to {Rights} sessions, with {Limit} permits and {stopped} processes stopped in an open");
    }

    /// <summary>Records an event for a violation's message.</summary>
    public void Note(string who, string what, long one = 0, long other = 0) =>
        _notes[_noted++ % _notes.Length] = (Time, who, what, one, other);

    public SimViolationException Violation(string what) => new(
        $"{what}; at {Time / 1e6:0.000} s, after {Scheduler.Steps} steps, {UPool.Tests.Seed.Variable}={Seed}.\n"
        + Describe());

    public string Describe()
    {
        IEnumerable<string> silos = _silos.Concat(_dead.Where(static silo => silo.ServerSessions > 0)).Take(40)
            .Select(silo => $"  {silo.Name}: permits {silo.Permits}, on the server {silo.ServerSessions}, demand "
                + $"{silo.Pool.Demand}, {silo.Pool.Glance()}{(silo.IsDead ? ", dead" : "")}"
                + $"{(silo.IsStopped ? ", stopped" : "")}");
        IEnumerable<string> leases = Ledger?.View(_current!.Now).Leases.Take(40)
            .Select(static lease => $"  {lease.Incarnation}: {lease.State}, permits {lease.Permits}, held {lease.Held},"
                + $" wanted {lease.Wanted}, {lease.Wait}, {lease.Remaining.TotalSeconds:0.0} s left") ?? ["  none"];
        return $"Server {Server.Life.Start}: pools {Server.PoolSessions}, control {Server.ControlSessions}\n"
            + string.Join('\n', silos) + "\nLedger:\n" + string.Join('\n', leases) + "\nBefore:\n"
            + string.Join('\n', Enumerable.Range(0, (int)Math.Min(_noted, _notes.Length))
                .Select(at => _notes[(_noted - Math.Min(_noted, _notes.Length) + at) % _notes.Length])
                .Select(static note => $"  {note.Time / 1e6:0.000} {note.Who} {note.What} {note.One} {note.Other}"));
    }
}
