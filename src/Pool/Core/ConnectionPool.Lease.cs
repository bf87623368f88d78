namespace UPool.Core;

/// <content>The effect of the end of a lease, or of its grace, on the pool's connections (INV-2).</content>
internal sealed partial class ConnectionPool
{
    /// <summary>
    /// A rent waits, or was refused, while all permits are in use or there are none. Raised once for each lease, on the
    /// thread pool.
    /// </summary>
    public event Action? PermitsWanted;

    public bool NeedsLease => _needsLease;

    /// <summary>The newest lease, ended or not. A change applies at once, up or down; null removes the
    /// permits.</summary>
    public PoolLease? Lease
    {
        get
        {
            lock (_gate) return _lease.Lease;
        }
        set
        {
            if (!_needsLease)
                throw new InvalidOperationException($"Pool '{_options.Name}' was created without a lease.");
            if (value is { Permits: < 0 } || value?.GraceEndsAt < value?.EndsAt)
                throw new ArgumentOutOfRangeException(
                    nameof(value), "A lease must have 0 or more permits, and must not end after its grace.");

            lock (_gate)
            {
                // The present lease may have ended unnoticed: connections opened under it do not belong to the new one.
                long now = ReadClock_NeedsLock();
                OnEnds_NeedsLock(_lease.Set(value, now, _generation + 1));
                ApplyPermits_NeedsLock();
            }
        }
    }

    public LeaseUse ReadLeaseUse()
    {
        lock (_gate)
        {
            ReadClock_NeedsLock();
            return _books.ReadUse(_lease.Lease?.Sequence, _judge.Opening, _pending.Count);
        }
    }

    /// <summary>Severs and closes the connections still rented under a lease that has ended.</summary>
    public void CutOff()
    {
        PhysicalConnection[] left;
        lock (_gate)
        {
            ReadClock_NeedsLock();

            // These connections are never rented again, so SeverAll reads the number of the rent to end.
            left =
            [
                .. _books.Open.Where(
                    connection => connection.RentId != 0 && _lease.IsOfEndedLease(connection.Generation)),
            ];
        }

        if (left.Length > 0) LogCutOff(_options.Name, left.Length, Counts.ToString());
        SeverAll(left);
    }

    /// <summary>The time now. If the lease or its grace has ended by it, that is handled first.</summary>
    private long ReadClock_NeedsLock()
    {
        long now = _clock.GetTimestamp();
        if (now >= _lease.DueAt) OnEnds_NeedsLock(_lease.Notice(now, _generation + 1));
        return now;
    }

    /// <summary>
    /// At the end of a lease nothing is rented any more, and idle connections close. A new generation begins: no
    /// connection may be used under a later lease either, because the server may have been told to end it.
    /// </summary>
    private void OnEnds_NeedsLock(LeaseEnds ends)
    {
        if (ends.HasFlag(LeaseEnds.Lease))
        {
            _generation++;
            CloseIdle_NeedsLock(CloseReason.Expired);
            ApplyPermits_NeedsLock();
            Queue(static pool => pool.RefusePendingWithoutLease());
        }

        if (ends.HasFlag(LeaseEnds.Grace)) Queue(static pool => pool.CutOff());
    }

    private void ApplyPermits_NeedsLock()
    {
        _books.Permits = _lease.PermitsOf(_maxConnections);
        CloseSurplus_NeedsLock();
        Grow_NeedsLock();
    }

    /// <summary>Without a lease no connection can come: the pending rents are refused at once.</summary>
    private void RefusePendingWithoutLease()
    {
        List<PendingRent> refused;
        RentRefusal refusal;
        lock (_gate)
        {
            if (_lease.IsInForce || _pending.Count == 0) return;

            (refused, refusal) = DequeueAll_NeedsLock(WhyWaiting_NeedsLock());
            WantPermits_NeedsLock();
        }

        RefuseAll(refused, refusal);
    }

    /// <summary>Notes that this many rents want a connection and find none. Asks for permits when a permit is missing,
    /// not when a connection is on its way.</summary>
    private void NoteWanted_NeedsLock(int wanted)
    {
        if (_lease.IsInForce) _books.NoteDemand(wanted);
        if (_books.Permits < _maxConnections && Sessions_NeedsLock() >= _books.Permits
            && wanted > _judge.Opening + _books.Validating)
        {
            WantPermits_NeedsLock();
        }
    }

    private void WantPermits_NeedsLock()
    {
        if (_lease.TryWantPermits()) Queue(static pool => pool.PermitsWanted?.Invoke());
    }

    private void OnLeaseTimer()
    {
        lock (_gate) _lease.SetTimer(ReadClock_NeedsLock());
    }
}
