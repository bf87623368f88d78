namespace UPool;

/// <summary>
/// A time-limited grant of permits to a pool that needs a lease. The pool compares the end with its own clock, under
/// its lock, at every rent and every open, so a process that was suspended does nothing with a lease that ended
/// meanwhile.
/// </summary>
/// <param name="Permits">The most sessions the pool may have on the server; 0 or more.
/// <see cref="PooledDataSource.MaxConnections"/> is a second bound.</param>
/// <param name="Sequence">The grant's number; <see cref="PooledDataSource.ReadLeaseUse"/> reports it once the lease is
/// applied.</param>
/// <param name="EndsAt">When the pool loses the permits; a timestamp of its clock.</param>
/// <param name="GraceEndsAt">When connections still rented after that are severed; a timestamp of the pool's clock, not
/// before <paramref name="EndsAt"/>.</param>
public readonly record struct PoolLease(int Permits, long Sequence, long EndsAt, long GraceEndsAt);

/// <summary>A pool's use of its lease, read at one moment under its lock.</summary>
/// <param name="Sequence">The number of the newest lease that was applied, ended or not; null before the first.</param>
/// <param name="Permits">The permits at this moment: 0 when no lease is in force.</param>
/// <param name="Opening">Sessions being opened.</param>
/// <param name="Idle">Sessions ready to be rented.</param>
/// <param name="Used">Sessions that are rented, being reset or being recovered.</param>
/// <param name="Closing">Sessions that the pool has closed and the server may still hold.</param>
/// <param name="Pending">Pending rents.</param>
/// <param name="Peak">The highest sum of used and pending since the last read: counts of one moment miss short
/// peaks.</param>
public readonly record struct LeaseUse(
    long? Sequence, int Permits, int Opening, int Idle, int Used, int Closing, int Pending, int Peak)
{
    /// <summary>All sessions that may exist on the server: a shrink is applied once they are within the
    /// permits.</summary>
    public int Sessions => Opening + Idle + Used + Closing;
}
