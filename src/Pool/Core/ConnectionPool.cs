using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using Microsoft.Extensions.Logging;

namespace UPool.Core;

/// <summary>
/// The pool: one lock over one state (idle, pending, counts). Opens, resets, pings and closes are queued under it and
/// run outside; whatever they lead to comes back through <see cref="Return"/>, and goes to the head of the queue.
/// </summary>
/// <remarks>
/// Read in the order of a connection's life: this file rents and returns, <c>.Opening</c> opens and validates,
/// <c>.Faults</c> judges opens that fail or stay unanswered, <c>.Recovery</c> takes a connection from its renter and
/// makes it clean, <c>.Closing</c> closes, prunes and drains, <c>.Lease</c> ends what a lease no longer covers.
/// </remarks>
internal sealed partial class ConnectionPool
{
    // A rent held for hours says that one connection was away, not that all are slow: it counts as this many rent
    // timeouts at most, enough to refuse a queue, little enough to be forgotten within a few dozen returns.
    private const int MaxPaceWaits = 2;

    // The share of its time by which a rent must be predicted to be served. Under overload the queue is always as long
    // as it may be: with all of the time, whoever joins would be served at its very end, or, as the pace varies,
    // refused there, after having waited for nothing.
    private const double PredictedShare = 0.75;

    private readonly PoolOptions _options;
    private readonly IConnector _connector;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly long _rentTimeout;
    private readonly long _validationInterval;

    // What a pending rent grants an open or a ping before another permit is tried: half its time, so that the other
    // half is left for that one.
    private readonly TimeSpan _patience;
    private readonly RentPlaces _places;
    private readonly long _pingTimeout;
    private readonly Lock _gate = new();

    // All below is guarded by _gate.
    private readonly List<PhysicalConnection> _idle = [];       // the newest last: last in, first out
    private readonly HashSet<PhysicalConnection> _open = [];    // idle and used
    private readonly long[] _closed = new long[Enum.GetValues<CloseReason>().Length];
    private readonly DurationWindow _wait = new();
    private readonly DurationWindow _use = new();
    private PendingQueue _pending;
    private SpareRents _spares;
    private ServicePace _pace;
    private int _permits;
    private int _opening;
    private int _validating;
    private int _used;
    private int _closing;
    private int _generation;
    private long _lastRentId;                                   // so many have been rented
    private long _timedOut, _rejected, _opened, _severed;
    private bool _draining;

    public ConnectionPool(
        PoolOptions options, IConnector connector, TimeProvider clock, ILogger logger, bool needsLease = false)
    {
        if (options.Validate() is { Count: > 0 } problems)
            throw new ArgumentException(string.Join(" ", problems), nameof(options));

        _options = options;
        _connector = connector;
        _clock = clock;
        _logger = logger;
        _needsLease = needsLease;
        _maxConnections = options.MaxConnections;
        _permits = needsLease ? 0 : _maxConnections;
        _backoff = new Backoff(MinOpenRetryInterval, options.MaxOpenRetryInterval);
        _rentTimeout = Ticks(options.RentTimeout);
        _validationInterval = Ticks(options.ValidationInterval);
        _places = new RentPlaces(clock);
        TimeSpan half = options.RentTimeout / 2;
        _patience = half < options.OpenTimeout ? half : options.OpenTimeout;
        _pingTimeout = Ticks(half < options.RecoveryTimeout ? half : options.RecoveryTimeout);
        Wheel = new DeadlineWheel(clock, Blame);
        _queueDeadline = new QueueDeadline(this);
        using (ExecutionContext.SuppressFlow())
        {
            _maintenance = clock.CreateTimer(
                static pool => ((ConnectionPool)pool!).Guard(static p => p.Maintain()), this, MaintenanceInterval,
                MaintenanceInterval);
            _leaseTimer = needsLease
                ? clock.CreateTimer(
                    static pool => ((ConnectionPool)pool!).Guard(static p => p.OnLeaseTimer()), this,
                    Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan)
                : null;
        }

        Telemetry = new PoolTelemetry(this, options);
        connector.ProblemFound += OnProblemFound;
    }

    public PoolOptions Options => _options;

    public IConnector Connector => _connector;

    /// <summary>Makes the objects of the pool's ADO.NET surface; null below it.</summary>
    public DbProviderFactory? Factory { get; set; }

    public TimeProvider Clock => _clock;

    /// <summary>The deadlines of pending rents and of operations.</summary>
    public DeadlineWheel Wheel { get; }

    public PoolTelemetry Telemetry { get; }

    /// <summary>The most connections at this moment.</summary>
    public int Permits
    {
        get
        {
            lock (_gate) return _permits;
        }
    }

    /// <summary>The most connections, whatever a lease grants; taken down, surplus connections close as they are
    /// returned.</summary>
    public int MaxConnections
    {
        get
        {
            lock (_gate) return _maxConnections;
        }
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            lock (_gate)
            {
                _maxConnections = value;
                ApplyPermits_NeedsLock();
            }
        }
    }

    /// <summary>
    /// Rents at once, or says no at once. Never overtakes those who wait. After a no, a ping or an open is under way
    /// for the next one who tries, unless the limits forbid it: those who never wait must not starve.
    /// </summary>
    public bool TryRent(
        [NotNullWhen(true)] out PhysicalConnection? connection, out long rentId, RentPlace rentedBy = default,
        FixedSelect? select = null)
    {
        long now = _clock.GetTimestamp();
        lock (_gate)
        {
            // Again under the lock, because the process may have been stopped in between.
            if (_needsLease) now = ReadClock_NeedsLock();
            if (!_draining && _pending.Count == 0)
            {
                if (TryTakeIdle_NeedsLock(now, select, out connection))
                {
                    rentId = BeginRent_NeedsLock(connection, now, now, rentedBy, select);
                    return true;
                }

                Grow_NeedsLock(wanted: 1);
            }
        }

        connection = null;
        rentId = 0;
        return false;
    }

    /// <summary>Rents in order of arrival; waits up to the rent timeout or the deadline.</summary>
    /// <param name="deadline">The request's.</param>
    /// <param name="token">The caller's.</param>
    /// <param name="rentedBy">The code that rents, for the report of a rent held too long.</param>
    /// <param name="select">What a no-reset rent is made for; null for any other rent.</param>
    public ValueTask<RentOutcome> RentAsync(
        Deadline deadline, CancellationToken token, RentPlace rentedBy = default, FixedSelect? select = null)
    {
        if (token.IsCancellationRequested) return ValueTask.FromCanceled<RentOutcome>(token);

        long now = _clock.GetTimestamp();
        long due = deadline.IsNone ? now + _rentTimeout : Math.Min(now + _rentTimeout, deadline.Timestamp);
        PendingRent pending;
        lock (_gate)
        {
            if (_needsLease) now = ReadClock_NeedsLock();
            if (_draining) return Rejected_NeedsLock(RefusalReason.Draining);
            if (due <= now)
            {
                _timedOut++;
                Telemetry.OnTimedOut();
                return new ValueTask<RentOutcome>(new RentOutcome(Refuse_NeedsLock(RefusalReason.TimedOut)));
            }

            if (_pending.Count == 0 && TryTakeIdle_NeedsLock(now, select, out PhysicalConnection? connection))
            {
                long rentId = BeginRent_NeedsLock(connection, now, now, rentedBy, select);
                return new ValueTask<RentOutcome>(new RentOutcome(connection, rentId));
            }

            // With nothing open and the last open failed, waiting would only make the answer late.
            if (IsDown_NeedsLock()) return Rejected_NeedsLock(RefusalReason.Unavailable);
            if (_needsLease && !_isLeased)
            {
                WantPermits_NeedsLock();
                return Rejected_NeedsLock(RefusalReason.NoPermits);
            }

            if (_pending.Count >= _options.MaxPending) return Rejected_NeedsLock(RefusalReason.QueueFull);
            if (IsPredictedLate_NeedsLock(due - now)) return Rejected_NeedsLock(RefusalReason.PredictedLate);

            pending = _spares.Take() ?? new PendingRent(this);
            pending.Begin(now, due, rentedBy, select);
            _pending.Enqueue(pending);
            if (due < _giveUpAt) GiveUpAt_NeedsLock(due, now);
            Grow_NeedsLock();
            NoteDemand_NeedsLock();
            WantPermitsIfShort_NeedsLock();
        }

        pending.ListenTo(token);
        return pending.Task;
    }

    /// <summary>
    /// Takes a clean connection back, or in: from a reset, an open or a ping. Serves the head of the queue with it,
    /// else makes it idle, else closes it.
    /// </summary>
    public void Return(PhysicalConnection connection)
    {
        if (Arrive(connection, Arrival.Reset)) LogRecovered(_options.Name, _connector.Target);
    }

    /// <summary>The same; answers whether the database had been away until now.</summary>
    private bool Arrive(PhysicalConnection connection, Arrival from, Opening? opening = null)
    {
        PendingRent? served;
        long rentId;
        bool recovered = false, changed = false;
        lock (_gate)
        {
            // Under the same lock as what it serves: between the two, somebody's return would see a pending rent with
            // nothing under way for it, and open once more.
            if (from == Arrival.Ping) _validating--;
            if (opening is not null)
            {
                recovered = _fault is not null;
                _fault = null;
                _backoff.Reset();
                EndOpen_NeedsLock(opening);
                _newestAnswered = Math.Max(_newestAnswered, opening.Number);
                _used++;
                _opened++;
                _open.Add(connection);
                if (opening.Candidate is { } candidate) changed = Adopt_NeedsLock(connection, candidate);
            }

            if (!connection.MustDiscard) recovered |= NoteAnswered_NeedsLock();

            // A session that was only pinged was as new before.
            connection.IsAsNew = true;
            long now = ReadClock_NeedsLock();
            connection.AnsweredAt = now;
            Pass_NeedsLock(connection, now, out served, out rentId);
        }

        served?.Complete(new RentOutcome(connection, rentId));
        if (changed) LogChanged(_options.Name);
        return recovered;
    }

    /// <summary>Serves the head of the queue with a connection that may be rented, else makes it idle, else closes
    /// it.</summary>
    private void Pass_NeedsLock(PhysicalConnection connection, long now, out PendingRent? served, out long rentId)
    {
        served = null;
        rentId = 0;
        if (connection.RentedAt != 0) _pace.Add(Math.Min(now - connection.RentedAt, MaxPaceWaits * _rentTimeout));
        connection.RentedAt = 0;
        if (WhyClose_NeedsLock(connection, now) is { } reason)
        {
            BeginClose_NeedsLock(connection, reason);
            Grow_NeedsLock();
            return;
        }

        served = DequeueLive_NeedsLock(now);
        if (served is null)
        {
            _used--;
            connection.IdleSince = now;
            _idle.Add(connection);
        }
        else
        {
            rentId = BeginRent_NeedsLock(connection, served.StartedAt, now, served.RentedBy, served.Select);
            connection.Waited = served;
        }

        // This may have been an open or a ping that is done: there is room for the next one.
        if (_pending.Count > 0) Grow_NeedsLock();
    }

    /// <summary>The caller of a pending rent has gone. An open on its behalf goes on and serves somebody
    /// else.</summary>
    public void Leave(PendingRent rent, CancellationToken token)
    {
        lock (_gate)
        {
            if (!_pending.Remove(rent)) return;
        }

        rent.Fail(new OperationCanceledException(token));
    }

    /// <summary>A refusal in the pool's words, of somebody who asked for no rent of his own.</summary>
    public RentRefusal Refuse(RefusalReason reason)
    {
        lock (_gate) return Refuse_NeedsLock(reason);
    }

    /// <summary>The code that calls, for a rent by ADO.NET's door; null when nobody will ask, or it was not looked
    /// at.</summary>
    public RentPlace FindCaller() =>
        _options.HeldTooLongTimeout == Timeout.InfiniteTimeSpan ? default : new RentPlace(_places.Find());

    /// <summary>
    /// Whether a rent that joined the queue now would, by the measured pace, still be in it at its deadline. Refused
    /// now it costs nothing; served late it would waste a connection on a caller that has given up. While the pool can
    /// still grow, the pace of what is open says little; with nobody waiting it joins in any case, since somebody has
    /// to measure the pace again after a stall.
    /// </summary>
    private bool IsPredictedLate_NeedsLock(long patience) =>
        _pending.Count > 0 && _open.Count >= _permits
        && _pace.PredictWait(_pending.Count, _open.Count) > patience * PredictedShare;

    private int Sessions_NeedsLock() => _open.Count + _opening + _closing;

    /// <summary>
    /// Takes the connection that was returned last, so that surplus ones go idle long enough to be pruned. One that
    /// has sat too long is not taken: the rent waits in the queue while it is pinged. Nor is one that only no-reset
    /// rents have used by any other rent: that one waits while it is reset.
    /// </summary>
    private bool TryTakeIdle_NeedsLock(
        long now, FixedSelect? select, [NotNullWhen(true)] out PhysicalConnection? connection)
    {
        connection = null;
        while (FindIdle_NeedsLock(now, isNoReset: select is not null) is >= 0 and var index)
        {
            PhysicalConnection candidate = _idle[index];
            _idle.RemoveAt(index);
            _used++;
            if (WhyClose_NeedsLock(candidate, now) is { } reason)
            {
                BeginClose_NeedsLock(candidate, reason);
                continue;
            }

            connection = candidate;
            return true;
        }

        return false;
    }

    /// <summary>
    /// The newest idle connection that a rent may have at once; -1 when there is none. A no-reset rent leaves those
    /// that are as new to others while it can: by turns, each kind of rent finds its own and nobody waits for a reset.
    /// </summary>
    private int FindIdle_NeedsLock(long now, bool isNoReset)
    {
        int newest = -1;
        for (int i = _idle.Count - 1; i >= 0; i--)
        {
            PhysicalConnection candidate = _idle[i];
            if (!IsFresh(candidate, now)) break;
            if (candidate.IsAsNew != isNoReset) return i;
            if (isNoReset && newest < 0) newest = i;
        }

        return newest;
    }

    /// <summary>Whether the server was heard of on it so lately that it need not be pinged.</summary>
    private bool IsFresh(PhysicalConnection connection, long now) =>
        now - connection.AnsweredAt <= _validationInterval;

    private long BeginRent_NeedsLock(
        PhysicalConnection connection, long startedAt, long now, RentPlace rentedBy, FixedSelect? select)
    {
        long rentId = ++_lastRentId;

        // Mostly the last rent's: comparing costs less than telling the collector of a reference that is written.
        if (!ReferenceEquals(connection.Select, select)) connection.Select = select;
        if (connection.RentedBy != rentedBy) connection.RentedBy = rentedBy;
        connection.MustReset = false;
        connection.HasExecuted = false;
        connection.RentedAt = now;
        connection.ReportedHeld = false;
        if (connection.RentId != 0)
            throw new InvalidOperationException($"bug: a rented connection was rented again ({Counts_NeedsLock()}).");

        connection.BeginRent(rentId);
        NoteDemand_NeedsLock();
        _wait.Add(now - startedAt);
        Telemetry.OnRented(startedAt, now);
        return rentId;
    }

    /// <summary>The longest-waiting rent that can still use a connection; those past their time are refused.</summary>
    private PendingRent? DequeueLive_NeedsLock(long now)
    {
        PendingRent? rent = PeekLive_NeedsLock(now);
        if (rent is not null) _pending.Remove(rent);
        return rent;
    }

    private PendingRent? PeekLive_NeedsLock(long now)
    {
        while (_pending.Head is { } rent)
        {
            if (rent.Due > now) return rent;

            // The wheel would have said so within a tick: never hand a connection to a request that has ended.
            _pending.Remove(rent);
            _timedOut++;
            Telemetry.OnTimedOut();
            rent.Complete(new RentOutcome(Refuse_NeedsLock(WhyTimedOut_NeedsLock())));
        }

        return null;
    }

    /// <summary>Empties the queue of rents that will be refused for one and the same reason.</summary>
    private List<PendingRent> DequeueAll_NeedsLock(RefusalReason reason)
    {
        List<PendingRent> rents = [];
        while (_pending.Dequeue() is { } rent)
        {
            _rejected++;
            Telemetry.OnRejected(reason);
            rents.Add(rent);
        }

        StopGivingUp_NeedsLock();
        return rents;
    }

    private RefusalReason WhyTimedOut_NeedsLock() =>
        IsDown_NeedsLock() ? RefusalReason.Unavailable
        : _permits == 0 || (_fault is { IsNoPermit: true } && _open.Count < _permits) ? RefusalReason.NoPermits
        : RefusalReason.TimedOut;

    private ValueTask<RentOutcome> Rejected_NeedsLock(RefusalReason reason)
    {
        _rejected++;
        Telemetry.OnRejected(reason);
        return new ValueTask<RentOutcome>(new RentOutcome(Refuse_NeedsLock(reason)));
    }

    private RentRefusal Refuse_NeedsLock(RefusalReason reason) => new(
        reason, _options.Name, _options.RentTimeout, Counts_NeedsLock(),
        _fault?.Problem ?? _connector.Problem ?? LeaseProblem_NeedsLock(), _fault?.Cause);

    private long Ticks(TimeSpan time) => (long)(time.TotalSeconds * _clock.TimestampFrequency);

    /// <summary>Where a connection comes from.</summary>
    private enum Arrival
    {
        Reset,
        Open,
        Ping,
    }
}
