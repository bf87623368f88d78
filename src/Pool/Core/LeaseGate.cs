namespace UPool.Core;

/// <summary>
/// The lease of a pool whose permits are granted for a time (INV-2). Its end is compared under the pool's lock wherever
/// a permit is about to be used; the timer only sees to it that an end is noticed when nothing else happens. A gate
/// that needs no lease is always open. Guarded by the pool's lock.
/// </summary>
internal sealed class LeaseGate(TimeProvider clock)
{
    // A timer that is due at once may run within the call that sets it, and so under the lock.
    private static readonly TimeSpan MinTimer = TimeSpan.FromMilliseconds(1);

    // A timer's longest time is some weeks; it looks again then.
    private static readonly TimeSpan MaxTimer = TimeSpan.FromDays(1);

    private bool _arePermitsWanted;

    /// <summary>Notices ends when nothing else happens; null when no lease is needed.</summary>
    public ITimer? Timer { get; init; }

    /// <summary>Whether the pool has permits only under a lease.</summary>
    public bool IsNeeded => Timer is not null;

    /// <summary>The newest lease, ended or not.</summary>
    public PoolLease? Lease { get; private set; }

    /// <summary>Whether the lease has not ended, as far as was noticed.</summary>
    public bool IsInForce { get; private set; }

    /// <summary>When the lease, or after it the grace, ends.</summary>
    public long DueAt { get; private set; } = long.MaxValue;

    /// <summary>What was opened in an earlier generation was opened under a lease that has ended.</summary>
    public int FirstGeneration { get; private set; }

    /// <summary>How many of a pool's own most are permitted now.</summary>
    public int PermitsOf(int maxConnections) =>
        !IsNeeded ? maxConnections
        : IsInForce ? Math.Min(maxConnections, Lease!.Value.Permits)
        : 0;

    /// <summary>Whether a session was opened under a lease that has ended: the server may have been told to end it, so
    /// it must not be used under a later lease either.</summary>
    public bool IsOfEndedLease(int generation) => generation < FirstGeneration;

    /// <summary>Why there are no permits, in one plain line; null when it is not for a lease.</summary>
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

    /// <summary>Takes a lease in place of the present one, whose end was noticed already if it has come.</summary>
    /// <param name="lease">The lease; null takes the permits away.</param>
    /// <param name="now">The time.</param>
    /// <param name="newGeneration">The generation that begins if that ends the present lease.</param>
    /// <returns>Whether a lease has ended with that.</returns>
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

    /// <summary>More permits would help; says so once for each lease.</summary>
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

/// <summary>What has come to its end.</summary>
[Flags]
internal enum LeaseEnds
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The lease: nothing is rented any more.</summary>
    Lease = 1,

    /// <summary>The grace after it: what is still rented is cut off.</summary>
    Grace = 2,
}
