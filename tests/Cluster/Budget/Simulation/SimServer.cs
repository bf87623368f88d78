using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>A session as the server counts it: from its accept until the server notices its end.</summary>
internal sealed class SimSession
{
    public required long Id { get; init; }

    public required string Host { get; init; }

    public required SimProcess Client { get; init; }

    public required bool IsControl { get; init; }

    /// <summary>Whether a statement runs: then the server does not look whether its client is still there.</summary>
    public bool IsBusy { get; set; }

    /// <summary>Whether the client has logged on: before that the server waits for it, but not for ever.</summary>
    public bool IsAuthenticated { get; set; }

    public bool IsEnded { get; set; }

    public bool IsEnding { get; set; }
}

/// <summary>
/// The database's server: counts sessions, has an accept queue that outlives its clients, freezes, restarts (and then
/// has no sessions, an empty register, and perhaps not the last writes), and never notices a dead client whose
/// statement runs.
/// </summary>
internal sealed class SimServer
{
    // A log-on that does not come is given up: the server's connect_timeout.
    private const long ConnectTimeout = 10 * SimScheduler.Second;

    private readonly SimCluster _cluster;
    private readonly Dictionary<long, SimSession> _sessions = [];
    private readonly Dictionary<long, (string Host, string Incarnation)> _register = [];
    private readonly List<(Action Work, Action Refused)> _waiting = [];
    private long _lastId;
    private int _lastPort;
    private int _life = 1;
    private long _startedAt;

    public SimServer(SimCluster cluster)
    {
        _cluster = cluster;
        Storage = new SimStorage();
    }

    public SimStorage Storage { get; }

    public bool IsDown { get; private set; }

    public bool IsFrozen { get; private set; }

    /// <summary>Sessions that are not control connections.</summary>
    public int PoolSessions { get; private set; }

    public int ControlSessions { get; private set; }

    public ServerLife Life =>
        new($"server/{_life}", TimeSpan.FromSeconds((_cluster.Time - _startedAt) / SimScheduler.Second));

    /// <summary>What reaches the server is done at once, when it answers again, or never.</summary>
    /// <param name="work">What the server does.</param>
    /// <param name="refused">What happens when there is no server.</param>
    public void Reach(Action work, Action refused)
    {
        if (IsDown) refused();
        else if (IsFrozen) _waiting.Add((work, refused));
        else work();
    }

    /// <summary>Somebody connects: the kernel takes the connection even while the server is frozen.</summary>
    public void Connect(SimProcess client, bool isControl, Action<SimSession> accepted, Action refused) => Reach(
        () =>
        {
            var session = new SimSession
            {
                Id = ++_lastId,
                Host = $"h:{++_lastPort}",
                Client = client,
                IsControl = isControl,
            };
            _sessions.Add(session.Id, session);
            Count(session, 1);
            if (client.IsDead)
            {
                // The end of a dead process arrives right behind its connection; of a dead machine nothing does.
                End(session, Millis(1, 5));
            }

            _cluster.Scheduler.After(ConnectTimeout, () =>
            {
                if (!session.IsAuthenticated) End(session, 0);
            });
            accepted(session);
        },
        refused);

    /// <summary>A session registers itself; false when it has ended.</summary>
    public bool Register(SimSession session)
    {
        if (session.IsEnded) return false;

        _register[session.Id] = (session.Host, session.Client.Name);
        return true;
    }

    /// <summary>All sessions, with who registered them by id and host.</summary>
    public List<DeploymentSession> List()
    {
        var list = new List<DeploymentSession>(_sessions.Count);
        foreach (SimSession session in _sessions.Values)
        {
            string? incarnation = _register.TryGetValue(session.Id, out (string Host, string Incarnation) row)
                && row.Host == session.Host ? row.Incarnation : null;
            list.Add(new DeploymentSession(session.Id, session.Host, incarnation, session.IsControl));
        }

        return list;
    }

    /// <summary>KILL: false for error 1094, no such session.</summary>
    public bool Kill(long id)
    {
        if (!_sessions.TryGetValue(id, out SimSession? session)) return false;

        // One in ten has much to roll back.
        End(session, session.IsBusy && _cluster.Random.Next(10) == 0 ? Millis(500, 1400) : Millis(0, 4));
        return true;
    }

    /// <summary>One session is lost, any one.</summary>
    public void EndOne()
    {
        if (IsDown || IsFrozen || _sessions.Count == 0) return;

        End(_sessions.Values.ElementAt(_cluster.Random.Next(_sessions.Count)), 0);
    }

    /// <summary>All connections of a process are gone, or silent for ever.</summary>
    public void LoseClient(SimProcess client, bool isPowerLoss)
    {
        if (isPowerLoss) return;

        foreach (SimSession session in _sessions.Values)
        {
            // What waits in the accept queue is not among them.
            if (session.Client == client && !session.IsBusy) End(session, Millis(0, 3));
        }
    }

    public void Freeze(long duration)
    {
        if (IsFrozen || IsDown) return;

        _cluster.Note("server", "freezes for ms", duration / 1000);
        IsFrozen = true;
        int life = _life;
        _cluster.Scheduler.After(duration, () =>
        {
            if (!IsFrozen || life != _life) return;

            IsFrozen = false;
            (Action Work, Action Refused)[] waiting = [.. _waiting];
            _waiting.Clear();

            // Who had a connection may be heard before those who wait for one.
            _cluster.Random.Shuffle(waiting);
            foreach ((Action work, _) in waiting) work();
        });
    }

    /// <summary>Ends with all its sessions and comes back; with an empty register, and without its last
    /// writes.</summary>
    public void Restart(long downtime, int lostWrites)
    {
        if (IsDown) return;

        _cluster.Note("server", "goes down for ms, and loses writes", downtime / 1000, lostWrites);
        IsDown = true;
        IsFrozen = false;
        _life++;
        (Action Work, Action Refused)[] waiting = [.. _waiting];
        _waiting.Clear();
        _register.Clear();
        Storage.Lose(lostWrites);
        foreach (SimSession session in _sessions.Values.ToArray()) Remove(session);
        _lastId = 0;
        foreach ((_, Action refused) in waiting) refused();
        _cluster.Scheduler.After(downtime, () =>
        {
            IsDown = false;
            _startedAt = _cluster.Time;
        });
    }

    private void End(SimSession session, long delay)
    {
        if (session.IsEnding) return;

        session.IsEnding = true;
        _cluster.Scheduler.After(delay, () => Reach(() => Remove(session), static () => { }));
    }

    private void Remove(SimSession session)
    {
        if (session.IsEnded) return;

        session.IsEnded = true;
        _sessions.Remove(session.Id);
        Count(session, -1);
        var client = (SimSilo)session.Client;
        if (session.IsControl) client.Then(SimPoint.BeforeConnect, SimScheduler.Second, client.ConnectControl);
        else client.Pool.OnEnded(session);
    }

    private void Count(SimSession session, int change)
    {
        if (session.IsControl)
        {
            ControlSessions += change;
            return;
        }

        PoolSessions += change;
        ((SimSilo)session.Client).ServerSessions += change;
        ((SimSilo)session.Client).NoteRights();
    }

    private long Millis(int from, int to) => _cluster.Random.Next(from * 1000, to * 1000 + 1);
}

/// <summary>Grain storage on that server: one row with a version.</summary>
internal sealed class SimStorage
{
    // As many as a restart may take back.
    private const int Kept = 16;

    private readonly List<(LedgerState State, int Version)> _history = [(new LedgerState(), 0)];
    private int _lastVersion;

    public (LedgerState State, int Version) Read() => _history[^1];

    /// <summary>Writes when nobody else has; the new version, or null. A version is never used twice, lost writes or
    /// not.</summary>
    public int? TryWrite(LedgerState state, int version)
    {
        if (_history[^1].Version != version) return null;

        _history.Add((state, ++_lastVersion));
        if (_history.Count > Kept) _history.RemoveAt(0);
        return _lastVersion;
    }

    public void Lose(int writes)
    {
        int lost = Math.Min(writes, _history.Count - 1);
        _history.RemoveRange(_history.Count - lost, lost);
    }
}
