using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using Microsoft.Extensions.Logging;

namespace UPool.Core;

/// <summary>
/// The pool: one state under one lock. Opens, resets, pings and closes are queued under the lock and run outside it;
/// their results come back through <see cref="OnReady"/> and go to the head of the queue. Rents are completed, and
/// listeners and loggers are called, outside the lock.
/// </summary>
/// <remarks>
/// In the order of a connection's life: this file rents and returns, <c>.Opening</c> opens and validates,
/// <c>.Faults</c> decides what failed and unanswered opens mean for pending rents, <c>.Changing</c> tries changed
/// credentials, <c>.Recovery</c> takes a connection from its renter and recovers it, <c>.Closing</c> closes, prunes and
/// drains, <c>.Lease</c> ends what a lease no longer covers. The parts of the state have their own tests:
/// <see cref="PoolBooks"/> (sessions and counts), <see cref="OpenJudge"/> (opens and faults), <see cref="LeaseGate"/>,
/// <see cref="CandidateSlot"/>; <see cref="OpenRules"/> decides from all of them whether to open one more.
/// </remarks>
internal sealed partial class ConnectionPool
{
    // A rent held for hours shows that one connection was away, not that all are slow. It counts as at most this many
    // rent timeouts: enough to refuse a queue, little enough to be forgotten within a few dozen returns.
    private const int MaxPaceWaits = 2;

    // A rent must be predicted to be served within this share of its time. Under overload the queue is always as long
    // as it may be: with all of the time, a rent that joins would be served at the very end of it or, as the pace
    // varies, time out after waiting for nothing.
    private const double PredictedShare = 0.75;

    private readonly PoolOptions _options;
    private readonly IConnector _connector;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly long _rentTimeout;
    private readonly long _validationInterval;

    // How long a pending rent waits for an open or a ping before another permit is tried: half its time, so that the
    // other half is left for that permit.
    private readonly TimeSpan _patience;
    private readonly RentPlaces _places;
    private readonly long _pingTimeout;
    private readonly bool _needsLease;
    private readonly Lock _gate = new();

    // All below is guarded by _gate.
    private readonly PoolBooks _books = new();
    private readonly OpenJudge _judge;
    private readonly LeaseGate _lease;
    private readonly CandidateSlot _changed;
    private PendingQueue _pending;
    private SpareRents _spares;
    private ServicePace _pace;
    private int _maxConnections;
    private int _generation;
    private bool _draining;

    public ConnectionPool(
        PoolOptions options, IConnector connector, TimeProvider clock, ILogger logger, bool needsLease = false)
    {
        if (options.Validate() is { Count: > 0 } problems)
            throw new ArgumentException(string.Join(" ", problems), nameof(options));

        // A copy: a later edit of the caller's object would change half of the pool and not the other half.
        _options = options = options.Copy();
        _connector = connector;
        _clock = clock;
        _logger = logger;
        _needsLease = needsLease;
        _judge = new OpenJudge(clock, options.MaxOpenRetryInterval);
        _changed = new CandidateSlot(clock);
        _maxConnections = options.MaxConnections;
        _rentTimeout = Ticks(options.RentTimeout);
        _validationInterval = Ticks(options.ValidationInterval);
        _places = new RentPlaces(clock);
        TimeSpan half = options.RentTimeout / 2;
        _patience = half < options.OpenTimeout ? half : options.OpenTimeout;
        _pingTimeout = Ticks(half < options.RecoveryTimeout ? half : options.RecoveryTimeout);
        Wheel = new DeadlineWheel(clock, ReportBug);
        _queueDeadline = new QueueDeadline(this);
        using (ExecutionContext.SuppressFlow())
        {
            _maintenance = clock.CreateTimer(
                static pool => ((ConnectionPool)pool!).Guard(static p => p.Maintain()), this, MaintenanceInterval,
                MaintenanceInterval);
            _lease = new LeaseGate(clock)
            {
                Timer = needsLease
                    ? clock.CreateTimer(
                        static pool => ((ConnectionPool)pool!).Guard(static p => p.OnLeaseTimer()), this,
                        Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan)
                    : null,
            };
        }

        _books.Permits = _lease.PermitsOf(_maxConnections);
        Telemetry = new PoolTelemetry(this, options);
        connector.ProblemFound += OnProblemFound;
        connector.ServerChanged += OnServerChanged;
    }

    /// <summary>The settings that the pool was made with.</summary>
    public PoolOptions Options => _options;

    public IConnector Connector => _connector;

    /// <summary>Creates the objects of the pool's ADO.NET surface; null without that surface.</summary>
    public DbProviderFactory? Factory { get; set; }

    public TimeProvider Clock => _clock;

    /// <summary>The deadlines of pending rents and of operations.</summary>
    public DeadlineWheel Wheel { get; }

    public PoolTelemetry Telemetry { get; }

    /// <summary>The most connections allowed at this moment.</summary>
    public int Permits
    {
        get
        {
            lock (_gate) return _books.Permits;
        }
    }

    /// <summary>The most connections, whatever a lease grants. When it is lowered, surplus connections close as they
    /// are returned.</summary>
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
    /// Rents at once, or returns false at once. Never overtakes pending rents. After a false, a ping or an open is
    /// under way for the next caller, unless the limits forbid it: callers that never wait must not starve.
    /// </summary>
    public bool TryRent(
        [NotNullWhen(true)] out PhysicalConnection? connection, out long rentId, RentPlace rentedBy = default,
        FixedSelect? select = null)
    {
        long now = _clock.GetTimestamp();
        rentId = 0;
        lock (_gate)
        {
            // Read again under the lock: the process may have been stopped in between.
            if (_needsLease) now = ReadClock_NeedsLock();
            if (_draining || _pending.Count > 0) connection = null;
            else if (TryTakeIdle_NeedsLock(now, select, out connection))
                rentId = BeginRent_NeedsLock(connection, now, now, rentedBy, select);
            else Want_NeedsLock(1);
        }

        if (connection is not null) Telemetry.OnRented(now, now);
        return connection is not null;
    }

    /// <summary>Rents in order of arrival; waits up to the rent timeout or the deadline.</summary>
    /// <param name="deadline">The request's deadline.</param>
    /// <param name="token">The caller's token.</param>
    /// <param name="rentedBy">The code that rents, for the report of a rent held too long.</param>
    /// <param name="select">The fixed SELECT of a no-reset rent; null for any other rent.</param>
    public ValueTask<RentOutcome> RentAsync(
        Deadline deadline, CancellationToken token, RentPlace rentedBy = default, FixedSelect? select = null)
    {
        if (token.IsCancellationRequested) return ValueTask.FromCanceled<RentOutcome>(token);

        long now = _clock.GetTimestamp();
        long due = deadline.IsNone ? now + _rentTimeout : Math.Min(now + _rentTimeout, deadline.Timestamp);
        PhysicalConnection? connection = null;
        PendingRent? pending = null;
        RentRefusal? refusal = null;
        long rentId = 0;
        lock (_gate)
        {
            if (_needsLease) now = ReadClock_NeedsLock();
            if (due > now && !_draining && _pending.Count == 0
                && TryTakeIdle_NeedsLock(now, select, out connection))
            {
                rentId = BeginRent_NeedsLock(connection, now, now, rentedBy, select);
            }
            else if (WhyRefuse_NeedsLock(now, due) is { } reason)
            {
                refusal = Refuse_NeedsLock(reason);
            }
            else
            {
                pending = _spares.Take() ?? new PendingRent(this);
                pending.Begin(now, due, rentedBy, select);
                _pending.Enqueue(pending);
                if (due < _giveUpAt) GiveUpAt_NeedsLock(due, now);
                Want_NeedsLock(_pending.Count);
            }
        }

        if (connection is not null)
        {
            Telemetry.OnRented(now, now);
            return new ValueTask<RentOutcome>(new RentOutcome(connection, rentId));
        }

        if (pending is null)
        {
            Telemetry.OnRefused(refusal!.Reason);
            return new ValueTask<RentOutcome>(new RentOutcome(refusal));
        }

        pending.ListenTo(token);
        return pending.Task;
    }

    /// <summary>Takes back a connection that was reset.</summary>
    public void Return(PhysicalConnection connection)
    {
        if (OnReady(connection, Readied.ByReset)) LogRecovered(_options.Name, _connector.Target);
    }

    /// <summary>The caller of a pending rent has cancelled it. Its open continues and serves another rent.</summary>
    public void Withdraw(PendingRent rent, CancellationToken token)
    {
        lock (_gate)
        {
            if (!_pending.Remove(rent)) return;
        }

        rent.Fail(new OperationCanceledException(token));
    }

    /// <summary>Describes a refusal, for a caller that rents nothing itself.</summary>
    public RentRefusal Describe(RefusalReason reason)
    {
        lock (_gate) return Describe_NeedsLock(reason);
    }

    /// <summary>The calling code, for a rent through <c>DbDataSource</c>; without a name when no report needs it, or
    /// the stack was not captured.</summary>
    public RentPlace FindCaller() =>
        _options.HeldTooLongTimeout == Timeout.InfiniteTimeSpan ? default : new RentPlace(_places.Find());

    /// <summary>
    /// Takes a connection in after a reset, an open or a ping. Serves the head of the queue with it, else makes it
    /// idle, else closes it. Returns whether the database had been unavailable until now.
    /// </summary>
    private bool OnReady(PhysicalConnection connection, Readied by, Opening? opening = null)
    {
        PendingRent? served;
        long rentId;
        bool recovered = false, isAdopted = false;
        lock (_gate)
        {
            // In the same lock section as the handover: between the two, another return would see a pending rent with
            // nothing under way for it, and open one connection too many.
            if (by == Readied.ByPing) _books.Validating--;
            if (opening is not null)
            {
                _judge.End(opening);
                recovered = _judge.NoteOpened(opening);
                _books.Add(connection);
                if (opening.Candidate is not null) isAdopted = Adopt_NeedsLock(connection, opening);
                CompleteStarts_NeedsLock(isOpen: true);
            }

            if (!connection.MustDiscard) recovered |= _judge.NoteAnswered();

            // A session that was only pinged was as new before.
            connection.IsAsNew = true;
            long now = ReadClock_NeedsLock();
            connection.AnsweredAt = now;
            served = HandOver_NeedsLock(connection, now, out rentId);
        }

        if (served is not null) Complete(served, connection, rentId);
        if (isAdopted) LogChanged(_options.Name);
        return recovered;
    }

    /// <summary>Serves the head of the queue with a connection that may be rented, else makes it idle, else closes
    /// it.</summary>
    private PendingRent? HandOver_NeedsLock(PhysicalConnection connection, long now, out long rentId)
    {
        rentId = 0;
        if (connection.RentedAt != 0) _pace.Add(Math.Min(now - connection.RentedAt, MaxPaceWaits * _rentTimeout));
        connection.RentedAt = 0;
        if (WhyClose_NeedsLock(connection, now) is { } reason)
        {
            BeginClose_NeedsLock(connection, reason);
            Grow_NeedsLock();
            return null;
        }

        PendingRent? served = DequeueLive_NeedsLock(now);
        if (served is null)
        {
            _books.PutIdle(connection, now);
        }
        else
        {
            rentId = BeginRent_NeedsLock(connection, served.StartedAt, now, served.RentedBy, served.Select);
            connection.Waited = served;
        }

        // An open or a ping may have ended with this: there is room for the next one.
        if (_pending.Count > 0) Grow_NeedsLock();
        return served;
    }

    /// <summary>Completes the rent that a connection was handed to. Before telemetry: no listener may keep the
    /// connection from its renter.</summary>
    private void Complete(PendingRent served, PhysicalConnection connection, long rentId)
    {
        // Read before the completion: both objects may serve another rent by the time the call returns.
        long startedAt = served.StartedAt, at = connection.RentedAt;
        served.Complete(new RentOutcome(connection, rentId));
        Telemetry.OnRented(startedAt, at);
    }

    /// <summary>Why a rent is refused without waiting; null when it may wait.</summary>
    private RefusalReason? WhyRefuse_NeedsLock(long now, long due)
    {
        if (_draining) return RefusalReason.Draining;
        if (due <= now) return RefusalReason.TimedOut;

        // Nothing is open and the last open failed: waiting would only delay the answer.
        if (IsDown_NeedsLock()) return RefusalReason.Unavailable;
        if (_lease is { IsNeeded: true, IsInForce: false })
        {
            WantPermits_NeedsLock();
            return RefusalReason.NoPermits;
        }

        if (_pending.Count >= _options.MaxPending)
        {
            // A refused rent wants a connection too. Where no rent may wait, nothing else starts an open.
            RefusalReason why = WhyWaiting_NeedsLock();
            Want_NeedsLock(_pending.Count + 1);
            return why == RefusalReason.TimedOut ? RefusalReason.QueueFull : why;
        }

        return IsPredictedLate_NeedsLock(due - now) ? RefusalReason.PredictedLate : null;
    }

    /// <summary>
    /// Whether a rent that joined the queue now would, at the measured pace, still be in it at its deadline. Refused
    /// now, it costs nothing; served late, it would waste a connection. While the pool can still grow, the pace of the
    /// open connections says little. With no rent waiting, it joins in any case: some rent must measure the pace after
    /// a stall.
    /// </summary>
    private bool IsPredictedLate_NeedsLock(long patience) =>
        _pending.Count > 0 && _books.OpenHere >= _books.Permits
        && _pace.PredictWait(_pending.Count, _books.OpenHere) > patience * PredictedShare;

    /// <summary>This many rents want a connection and find none.</summary>
    private void Want_NeedsLock(int wanted)
    {
        Grow_NeedsLock(wanted);
        if (_needsLease) NoteWanted_NeedsLock(wanted);
    }

    private int Sessions_NeedsLock() => _books.OpenHere + _judge.Opening + _books.Closing;

    /// <summary>
    /// Takes the connection that was returned last, so that surplus ones stay idle long enough to be pruned. One that
    /// sat idle too long is not taken: the rent waits while it is pinged. One that only no-reset rents have used is not
    /// taken for any other rent: that rent waits while it is reset.
    /// </summary>
    private bool TryTakeIdle_NeedsLock(
        long now, FixedSelect? select, [NotNullWhen(true)] out PhysicalConnection? connection)
    {
        connection = null;
        while (FindIdle_NeedsLock(now, isNoReset: select is not null) is >= 0 and var index)
        {
            PhysicalConnection taken = _books.TakeIdle(index);
            if (WhyClose_NeedsLock(taken, now) is { } reason)
            {
                BeginClose_NeedsLock(taken, reason);
                continue;
            }

            connection = taken;
            return true;
        }

        return false;
    }

    /// <summary>
    /// The newest idle connection that a rent may use at once; -1 when there is none. A no-reset rent leaves those that
    /// are as new to other rents if it can: each kind then finds its own, and none waits for a reset.
    /// </summary>
    private int FindIdle_NeedsLock(long now, bool isNoReset)
    {
        List<PhysicalConnection> idle = _books.Idle;
        int newest = -1;
        for (int i = idle.Count - 1; i >= 0; i--)
        {
            PhysicalConnection connection = idle[i];
            if (!IsFresh(connection, now)) break;
            if (connection.IsAsNew != isNoReset) return i;
            if (isNoReset && newest < 0) newest = i;
        }

        return newest;
    }

    /// <summary>Whether the server has answered on the connection so recently that no ping is needed.</summary>
    private bool IsFresh(PhysicalConnection connection, long now) =>
        now - connection.AnsweredAt <= _validationInterval;

    private long BeginRent_NeedsLock(
        PhysicalConnection connection, long startedAt, long now, RentPlace rentedBy, FixedSelect? select)
    {
        // Mostly equal to the last rent's: a comparison costs less than the garbage collector's write barrier.
        if (!ReferenceEquals(connection.Select, select)) connection.Select = select;
        if (connection.RentedBy != rentedBy) connection.RentedBy = rentedBy;
        connection.MustReset = false;
        connection.HasExecuted = false;
        connection.RentedAt = now;
        connection.ReportedHeld = false;
        if (connection.RentId != 0)
            throw new InvalidOperationException($"bug: a rented connection was rented again ({Counts_NeedsLock()}).");

        long rentId = _books.AddRent(now - startedAt);
        connection.BeginRent(rentId);
        if (_needsLease) _books.NoteDemand(_pending.Count);
        return rentId;
    }

    private RefusalReason WhyWaiting_NeedsLock() => OpenRules.WhyWaiting(State_NeedsLock(_pending.Count));

    private RentRefusal Refuse_NeedsLock(RefusalReason reason)
    {
        if (reason == RefusalReason.TimedOut) _books.TimedOut++;
        else _books.Rejected++;
        return Describe_NeedsLock(reason);
    }

    private RentRefusal Describe_NeedsLock(RefusalReason reason) => Describe_NeedsLock(reason, _pending.Count);

    private RentRefusal Describe_NeedsLock(RefusalReason reason, int pending)
    {
        OpenFault? fault = _judge.Fault;
        string? problem = reason switch
        {
            RefusalReason.Unavailable => fault?.Problem ?? _connector.Problem ?? _judge.Silence,
            RefusalReason.NoPermits => _books.Permits == 0 ? _lease.Problem : fault?.Problem,
            _ => fault?.Problem,
        };
        return new RentRefusal(
            reason, _options.Name, _options.RentTimeout, _books.Count(_judge.Opening, pending), problem, fault?.Cause);
    }

    private long Ticks(TimeSpan time) => (long)(time.TotalSeconds * _clock.TimestampFrequency);

    /// <summary>The work that made a connection ready to be rented.</summary>
    private enum Readied
    {
        ByReset,
        ByOpen,
        ByPing,
    }
}
