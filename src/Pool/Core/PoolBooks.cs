namespace UPool.Core;

/// <summary>
/// The pool's sessions, each in one place: idle, used, closing or elsewhere; and the counts and totals of a snapshot.
/// Uses no driver and decides nothing. Guarded by the pool's lock.
/// </summary>
internal sealed class PoolBooks
{
    private readonly HashSet<PhysicalConnection> _open = [];
    private readonly HashSet<PhysicalConnection> _closing = [];
    private readonly long[] _closed = new long[Enum.GetValues<CloseReason>().Length];
    private readonly DurationWindow _wait = new();
    private readonly DurationWindow _use = new();
    private int _usedElsewhere, _closingElsewhere, _pausing, _peak;

    /// <summary>The idle connections, the newest last.</summary>
    public List<PhysicalConnection> Idle { get; } = [];

    /// <summary>Idle and used connections.</summary>
    public IReadOnlyCollection<PhysicalConnection> Open => _open;

    /// <summary>The most sessions allowed at this moment.</summary>
    public int Permits { get; set; }

    /// <summary>Open connections that are not idle: rented, being made ready, or being recovered.</summary>
    public int Used { get; private set; }

    /// <summary>Used connections that are being made ready for a rent.</summary>
    public int Validating { get; set; }

    /// <summary>Permits that are held until the server has dropped a session, or during the pause after a failed open,
    /// whose session the server may count a moment longer.</summary>
    public int Closing => _closing.Count - _closingElsewhere + _pausing;

    /// <summary>Idle and used connections that hold a permit.</summary>
    public int OpenHere => _open.Count - _usedElsewhere;

    /// <summary>Sessions on a former server: they hold no permit on the present one.</summary>
    public int Elsewhere => _usedElsewhere + _closingElsewhere;

    public long Rented { get; private set; }

    public long TimedOut { get; set; }

    public long Rejected { get; set; }

    public long Opened { get; private set; }

    public long Severed { get; set; }

    /// <summary>Adds a new session, used until it is handed over.</summary>
    public void Add(PhysicalConnection connection)
    {
        _open.Add(connection);
        Used++;
        Opened++;
    }

    /// <summary>Makes an idle connection used.</summary>
    public PhysicalConnection TakeIdle(int index)
    {
        PhysicalConnection connection = Idle[index];
        Idle.RemoveAt(index);
        Used++;
        return connection;
    }

    /// <summary>Makes a used connection idle.</summary>
    public void PutIdle(PhysicalConnection connection, long now)
    {
        Used--;
        connection.IdleSince = now;
        Idle.Add(connection);
    }

    /// <summary>Counts a rent and returns its number.</summary>
    public long AddRent(long wait)
    {
        _wait.Add(wait);
        return ++Rented;
    }

    public void AddUse(long use) => _use.Add(use);

    /// <summary>Moves a used connection to closing; false when it is there already.</summary>
    public bool TryBeginClose(PhysicalConnection connection, CloseReason reason)
    {
        if (!_open.Remove(connection)) return false;

        Used--;
        _closing.Add(connection);
        _closed[(int)reason]++;
        if (connection.CountsElsewhere)
        {
            _usedElsewhere--;
            _closingElsewhere++;
        }
        else if (connection.IsElsewhere)
        {
            connection.CountsElsewhere = true;
            _closingElsewhere++;
        }

        return true;
    }

    /// <summary>The server has dropped the session.</summary>
    public void EndClose(PhysicalConnection connection)
    {
        if (_closing.Remove(connection) && connection.CountsElsewhere) _closingElsewhere--;
    }

    public void BeginPause() => _pausing++;

    public void EndPause() => _pausing--;

    /// <summary>Counts again which sessions hold permits, because another server answers.</summary>
    public void CountAnew()
    {
        _usedElsewhere = CountElsewhere(_open);
        _closingElsewhere = CountElsewhere(_closing);
    }

    /// <summary>Notes the present demand; its maximum is kept until it is read.</summary>
    public void NoteDemand(int waiting) => _peak = Math.Max(_peak, Used + waiting);

    public LeaseUse ReadUse(long? sequence, int opening, int pending)
    {
        int peak = Math.Max(_peak, Used + pending);
        _peak = 0;
        return new LeaseUse(
            sequence, Permits, opening, Idle.Count, Used - _usedElsewhere, Closing, pending, peak);
    }

    public PoolCounts Count(int opening, int pending) =>
        new(Permits, Used, Idle.Count, opening, Closing, pending)
        {
            Elsewhere = Elsewhere,
            UsedElsewhere = _usedElsewhere,
        };

    /// <summary>The state now. The caller computes the percentiles from the copies, outside the lock.</summary>
    public PoolSnapshot Copy(string pool, int opening, int pending, out long[] wait, out long[] use)
    {
        wait = _wait.Copy();
        use = _use.Copy();
        return new PoolSnapshot
        {
            Pool = pool,
            Permits = Permits,
            Opening = opening,
            Idle = Idle.Count,
            Used = Used,
            Closing = Closing,
            Pending = pending,
            Rented = Rented,
            TimedOut = TimedOut,
            Rejected = Rejected,
            Opened = Opened,
            Severed = Severed,
            Closed = Enum.GetValues<CloseReason>()
                .ToDictionary(reason => PoolTelemetry.NameOf(reason), reason => _closed[(int)reason]),
            Wait = default,
            Use = default,
        };
    }

    private static int CountElsewhere(HashSet<PhysicalConnection> sessions)
    {
        int count = 0;
        foreach (PhysicalConnection connection in sessions)
        {
            connection.CountsElsewhere = connection.IsElsewhere;
            if (connection.CountsElsewhere) count++;
        }

        return count;
    }
}
