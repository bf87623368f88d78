namespace UPool.Core;

/// <content>
/// The lease of a pool whose permits are granted for a time (INV-2). Its end is compared under the lock wherever a
/// permit is about to be used; the timer only sees to it that an end is noticed when nothing else happens.
/// </content>
internal sealed partial class ConnectionPool
{
    // An open under way when its process is stopped past the last check is a session that nothing can hold back: there
    // is never more than one.
    private const int MaxOpeningWithLease = 1;

    // A timer that is due at once may run within the call that sets it, and so under the lock.
    private static readonly TimeSpan MinLeaseTimer = TimeSpan.FromMilliseconds(1);

    // A timer knows no more than some weeks; it looks again then.
    private static readonly TimeSpan MaxLeaseTimer = TimeSpan.FromDays(1);

    private readonly bool _needsLease;
    private readonly ITimer? _leaseTimer;

    // All below is guarded by _gate.
    private int _maxConnections;
    private PoolLease? _lease;
    private bool _isLeased;
    private long _leaseDueAt = long.MaxValue;    // when the lease, or after it the grace, ends
    private int _leaseGeneration;                // older generations were opened under a lease that has ended
    private int _peak;
    private bool _permitsWantedTold;

    /// <summary>
    /// A rent waits, or was refused, while all permits are in use or there are none. Once for each lease that is set;
    /// raised on the thread pool.
    /// </summary>
    public event Action? PermitsWanted;

    public bool NeedsLease => _needsLease;

    /// <summary>The newest lease, ended or not. Works at once in both directions; null takes the permits
    /// away.</summary>
    public PoolLease? Lease
    {
        get
        {
            lock (_gate) return _lease;
        }
        set
        {
            if (!_needsLease)
                throw new InvalidOperationException($"Pool '{_options.Name}' was made to need no lease.");
            if (value is { Permits: < 0 } || value?.GraceEndsAt < value?.EndsAt)
                throw new ArgumentOutOfRangeException(nameof(value), "A lease has 0 permits or more, and ends first.");

            lock (_gate)
            {
                // The present one may have ended unseen: what was opened under it is not the new one's.
                long now = ReadClock_NeedsLock();
                bool isLive = value is { } lease && now < lease.EndsAt;
                if (_isLeased && !isLive)
                {
                    EndLease_NeedsLock();
                    _leaseDueAt = Math.Min(_leaseDueAt, value?.GraceEndsAt ?? _leaseDueAt);
                }

                _lease = value;
                if (isLive)
                {
                    _isLeased = true;
                    _leaseDueAt = value!.Value.EndsAt;
                    _permitsWantedTold = false;
                    ApplyPermits_NeedsLock();
                }

                SetLeaseTimer_NeedsLock(now);
            }
        }
    }

    public LeaseUse ReadLeaseUse()
    {
        lock (_gate)
        {
            ReadClock_NeedsLock();
            int peak = Math.Max(_peak, _used + _pending.Count);
            _peak = 0;
            return new LeaseUse(
                _lease?.Sequence, _permits, _opening, _idle.Count, _used, _closing, _pending.Count, peak);
        }
    }

    /// <summary>Severs and closes what is still rented under a lease that has ended.</summary>
    public void CutOff()
    {
        PhysicalConnection[] left;
        lock (_gate)
        {
            ReadClock_NeedsLock();

            // They are never rented again, so the number read here is that of the rent to end.
            left = [.. _open.Where(connection => connection.RentId != 0 && IsOfEndedLease_NeedsLock(connection))];
        }

        if (left.Length > 0) LogCutOff(_options.Name, left.Length, Counts.ToString());
        foreach (PhysicalConnection connection in left)
        {
            // Its renter may be about to send a statement: such a session is closed, never cleaned and reused.
            connection.MustDiscard = true;
            Release(connection, connection.RentId);
        }
    }

    /// <summary>The time now; an end of the lease or of its grace that it brings to light is acted on first.</summary>
    private long ReadClock_NeedsLock()
    {
        long now = _clock.GetTimestamp();
        if (now < _leaseDueAt) return now;

        if (_isLeased) EndLease_NeedsLock();
        if (now >= _leaseDueAt)
        {
            _leaseDueAt = long.MaxValue;
            Queue(static (pool, _) => Run(pool.CutOff), 0);
        }

        SetLeaseTimer_NeedsLock(now);
        return now;
    }

    /// <summary>
    /// Nothing is rented any more, idle ones close. Another generation begins, because whatever was opened until now
    /// must not be used under a later lease either: the server may have been told to end it.
    /// </summary>
    private void EndLease_NeedsLock()
    {
        _isLeased = false;
        _leaseDueAt = _lease!.Value.GraceEndsAt;
        _leaseGeneration = ++_generation;
        CloseIdle_NeedsLock(CloseReason.Expired);
        ApplyPermits_NeedsLock();
        Queue(static (pool, _) => Run(pool.RefusePendingWithoutLease), 0);
    }

    private void NoteDemand_NeedsLock() => _peak = Math.Max(_peak, _used + _pending.Count);

    private bool IsOfEndedLease_NeedsLock(PhysicalConnection connection) => connection.Generation < _leaseGeneration;

    private void ApplyPermits_NeedsLock()
    {
        _permits = !_needsLease ? _maxConnections
            : _isLeased ? Math.Min(_maxConnections, _lease!.Value.Permits)
            : 0;
        CloseSurplus_NeedsLock();
        Grow_NeedsLock();
    }

    /// <summary>The last look before an open is begun: the work may have been queued under a lease that has ended
    /// since.</summary>
    private bool MayOpen(int generation)
    {
        if (!_needsLease) return true;

        lock (_gate)
        {
            ReadClock_NeedsLock();
            if (generation >= _leaseGeneration && Sessions_NeedsLock() <= _permits) return true;

            _opening--;
            Grow_NeedsLock();
            NoteDrained_NeedsLock();
            return false;
        }
    }

    /// <summary>Without a lease nothing can come: those who wait hear so at once.</summary>
    private void RefusePendingWithoutLease()
    {
        List<PendingRent> refused;
        RentRefusal refusal;
        lock (_gate)
        {
            if (_isLeased) return;

            RefusalReason reason = WhyTimedOut_NeedsLock();
            refusal = Refuse_NeedsLock(reason);
            refused = DequeueAll_NeedsLock(reason);
            if (refused.Count > 0) WantPermits_NeedsLock();
        }

        foreach (PendingRent rent in refused) rent.Complete(new RentOutcome(refusal));
    }

    /// <summary>Somebody waits. Tells so when it is for want of a permit, not of a connection that is on its
    /// way.</summary>
    private void WantPermitsIfShort_NeedsLock()
    {
        if (_needsLease && _permits < _maxConnections && Sessions_NeedsLock() >= _permits
            && _pending.Count > _opening + _validating)
        {
            WantPermits_NeedsLock();
        }
    }

    private void WantPermits_NeedsLock()
    {
        if (_permitsWantedTold) return;

        _permitsWantedTold = true;
        Queue(static (pool, _) => Run(() => pool.PermitsWanted?.Invoke()), 0);
    }

    private string? LeaseProblem_NeedsLock() =>
        !_needsLease ? null
        : _lease is null ? "It has no lease of permits."
        : !_isLeased ? "The lease of its permits has ended and was not renewed."
        : _permits == 0 ? "Its lease grants no permits at present."
        : null;

    private void OnLeaseTimer()
    {
        lock (_gate) SetLeaseTimer_NeedsLock(ReadClock_NeedsLock());
    }

    private void SetLeaseTimer_NeedsLock(long now)
    {
        TimeSpan left = Timeout.InfiniteTimeSpan;
        if (_leaseDueAt != long.MaxValue)
        {
            left = _clock.GetElapsedTime(now, _leaseDueAt);
            left = left < MinLeaseTimer ? MinLeaseTimer : left > MaxLeaseTimer ? MaxLeaseTimer : left;
        }

        _leaseTimer!.Change(left, Timeout.InfiniteTimeSpan);
    }

    private static Task Run(Action work)
    {
        work();
        return Task.CompletedTask;
    }
}
