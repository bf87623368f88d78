namespace UPool.Core;

/// <summary>
/// The lease of a pool whose permits are granted for a time (INV-2). Its end is compared under the pool's lock wherever
/// a permit is about to be used; the timer only ensures that an end is noticed when nothing else happens. A gate that
/// needs no lease is always open. Guarded by the pool's lock.
/// </summary>
internal sealed class LeaseGate(TimeProvider clock)
{
    // A timer that is due at once may run inside the call that sets it, and so under the lock.
    private static readonly TimeSpan MinTimer = TimeSpan.FromMilliseconds(1);

    // A timer can wait some weeks at most; a longer wait is renewed when it fires.
    private static readonly TimeSpan MaxTimer = TimeSpan.FromDays(1);

    private bool _arePermitsWanted;

    /// <summary>Notices ends when nothing else happens; null when no lease is needed.</summary>
    public ITimer? Timer { get; init; }

    /// <summary>Whether the pool has permits only under a lease.</summary>
    public bool IsNeeded => Timer is not null;

    /// <summary>The newest lease, ended or not.</summary>
    public PoolLease? Lease { get; private set; }

    /// <summary>Whether the lease is in force; an end that was not noticed yet does not count.</summary>
    public bool IsInForce { get; private set; }

    /// <summary>When the lease ends, or after it the grace; a timestamp of the clock.</summary>
    public long DueAt { get; private set; } = long.MaxValue;

    /// <summary>Sessions of a generation before this one were opened under a lease that has ended.</summary>
    public int FirstGeneration { get; private set; }

    /// <summary>How many of the pool's <c>MaxConnections</c> are permitted now.</summary>
    public int PermitsOf(int maxConnections) =>
        !IsNeeded ? maxConnections
        : IsInForce ? Math.Min(maxConnections, Lease!.Value.Permits)
        : 0;

    /// <summary>Whether a session was opened under a lease that has ended. The server may have been told to end it, so
    /// it must not be used under a later lease either.</summary>
    public bool IsOfEndedLease(int generation) => generation < FirstGeneration;

    /// <summary>Why there are no permits, in one line; null when the lease is not the reason.</summary>
    public string? Problem =>
        !IsNeeded ? null
        : Lease is null ? "It has no lease of permits."
        : !IsInForce ? "The lease of its permits has ended and was not renewed."
        : Lease.Value.Permits == 0 ? "Its lease grants no permits at present."
        : null;

    /// <summary>Compares the ends with the time. Called when <see cref="DueAt"/> has come.</summary>
    /// <param name="now">The time.</param>
    /// <param name="newGeneration">The generation that begins if the lease has ended.</param>
    public LeaseEnds Notice(long now, int newGeneration)
    {
        LeaseEnds ends = LeaseEnds.None;
        if (IsInForce && now >= DueAt)
        {
            End(newGeneration);
            ends |= LeaseEnds.Lease;
        }

        if (now >= DueAt)
        {
            DueAt = long.MaxValue;
            ends |= LeaseEnds.Grace;
        }

        if (ends != LeaseEnds.None) SetTimer(now);
        return ends;
    }

    /// <summary>Replaces the present lease. If its end has come, the caller has noticed it already.</summary>
    /// <param name="lease">The lease; null takes the permits away.</param>
    /// <param name="now">The time.</param>
    /// <param name="newGeneration">The generation that begins if this ends the present lease.</param>
    /// <returns>Whether this has ended the present lease.</returns>
    public LeaseEnds Set(PoolLease? lease, long now, int newGeneration)
    {
        LeaseEnds ends = LeaseEnds.None;
        bool isLive = now < lease?.EndsAt;
        if (IsInForce && !isLive)
        {
            End(newGeneration);
            DueAt = Math.Min(DueAt, lease?.GraceEndsAt ?? DueAt);
            ends = LeaseEnds.Lease;
        }

        Lease = lease;
        if (isLive)
        {
            IsInForce = true;
            DueAt = lease!.Value.EndsAt;
            _arePermitsWanted = false;
        }

        SetTimer(now);
        return ends;
    }

    /// <summary>Notes that more permits would help. Returns true once for each lease.</summary>
    public bool TryWantPermits()
    {
        bool isFirst = !_arePermitsWanted;
        _arePermitsWanted = true;
        return isFirst;
    }

    /// <summary>Sets the timer for the next end.</summary>
    public void SetTimer(long now)
    {
        TimeSpan left = Timeout.InfiniteTimeSpan;
        if (DueAt != long.MaxValue)
        {
            left = clock.GetElapsedTime(now, DueAt);
            left = left < MinTimer ? MinTimer : left > MaxTimer ? MaxTimer : left;
        }

        Timer!.Change(left, Timeout.InfiniteTimeSpan);
    }

    private void End(int newGeneration)
    {
        IsInForce = false;
        DueAt = Lease!.Value.GraceEndsAt;
        FirstGeneration = newGeneration;
    }
}

/// <summary>The ends that have been noticed.</summary>
[Flags]
internal enum LeaseEnds
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The lease: nothing is rented any more.</summary>
    Lease = 1,

    /// <summary>The grace after it: connections still rented are cut off.</summary>
    Grace = 2,
}
