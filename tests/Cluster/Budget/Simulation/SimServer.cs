using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>A session in the server's count: from its accept until the server notices its end.</summary>
internal sealed class SimSession
{
    public required long Id { get; init; }

    public required string Host { get; init; }

    public required SimProcess Client { get; init; }

    public required bool IsControl { get; init; }

    /// <summary>Whether a statement runs; until it ends, the server does not notice a dead client.</summary>
    public bool IsBusy { get; set; }

    /// <summary>Whether the client has logged in; before that, the server waits only for a limited time.</summary>
    public bool IsAuthenticated { get; set; }

    public bool IsEnded { get; set; }

    public bool IsEnding { get; set; }
}

/// <summary>
/// The database server. It counts sessions; its accept queue outlives clients; it freezes and restarts (then without
/// sessions, with an empty register, perhaps without its last writes); it never notices a dead client whose statement
/// runs.
/// </summary>
internal sealed class SimServer
{
    // The server's connect_timeout, for a login that does not come.
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

    /// <summary>The number of sessions other than control connections.</summary>
    public int PoolSessions { get; private set; }

    public int ControlSessions { get; private set; }

    public ServerLife Life =>
        new($"server/{_life}", TimeSpan.FromSeconds((_cluster.Time - _startedAt) / SimScheduler.Second));

    /// <summary>Runs work on the server at once, after a freeze, or never.</summary>
    /// <param name="work">The server's work.</param>
    /// <param name="refused">Called if the server is down.</param>
    public void Reach(Action work, Action refused)
    {
        if (IsDown) refused();
        else if (IsFrozen) _waiting.Add((work, refused));
        else work();
    }

    /// <summary>Connects a client: the kernel accepts the connection even while the server is frozen.</summary>
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
                // A dead process's close arrives right behind its connection; after a power loss, nothing arrives.
                End(session, Millis(1, 5));
            }

            _cluster.Scheduler.After(ConnectTimeout, () =>
            {
                if (!session.IsAuthenticated) End(session, 0);
            });
            accepted(session);
        },
        refused);

    /// <summary>Registers a session; false if it has ended.</summary>
    public bool Register(SimSession session)
    {
        if (session.IsEnded) return false;

        _register[session.Id] = (session.Host, session.Client.Name);
        return true;
    }

    /// <summary>All sessions, with the registered owner by id and host.</summary>
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

    /// <summary>KILL; false for error 1094, no such session.</summary>
    public bool Kill(long id)
    {
        if (!_sessions.TryGetValue(id, out SimSession? session)) return false;

        // One session in ten has a long rollback.
        End(session, session.IsBusy && _cluster.Random.Next(10) == 0 ? Millis(500, 1400) : Millis(0, 4));
        return true;
    }

    /// <summary>Closes one session at random.</summary>
    public void EndOne()
    {
        if (IsDown || IsFrozen || _sessions.Count == 0) return;

        End(_sessions.Values.ElementAt(_cluster.Random.Next(_sessions.Count)), 0);
    }

    /// <summary>Closes all connections of a process, or silences them forever after a power loss.</summary>
    public void LoseClient(SimProcess client, bool isPowerLoss)
    {
        if (isPowerLoss) return;

        foreach (SimSession session in _sessions.Values)
        {
            // Connections in the accept queue are not among these.
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

            // The server may serve existing connections before waiting ones.
            _cluster.Random.Shuffle(waiting);
            foreach ((Action work, _) in waiting) work();
        });
    }

    /// <summary>Goes down with all its sessions and comes back with an empty register and without its last
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

/// <summary>Grain storage on the simulated server: one row with a version.</summary>
internal sealed class SimStorage
{
    // The most writes that a restart may lose.
    private const int Kept = 16;

    private readonly List<(LedgerState State, int Version)> _history = [(new LedgerState(), 0)];
    private int _lastVersion;

    public (LedgerState State, int Version) Read() => _history[^1];

    /// <summary>Writes if the version is still current; returns the new version, or null. No version is ever used
    /// twice, even after lost writes.</summary>
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
