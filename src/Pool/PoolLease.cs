namespace UPool;

/// <summary>
/// A time-limited grant of permits to a pool that needs one. The pool compares the end with its own clock under its
/// lock at every rent and every open, so a process that was stopped does nothing with a lease that ended meanwhile.
/// </summary>
/// <param name="Permits">The most sessions the pool may have on the server; 0 or more.
/// <see cref="PooledDataSource.MaxConnections"/> is a second bound.</param>
/// <param name="Sequence">The grant's number, told back by <see cref="PooledDataSource.ReadLeaseUse"/> once it is
/// applied.</param>
/// <param name="EndsAt">From when on the permits are not the pool's any more; a timestamp of its clock.</param>
/// <param name="GraceEndsAt">When what is still rented after that is cut off; a timestamp of its clock, not before
/// <paramref name="EndsAt"/>.</param>
public readonly record struct PoolLease(int Permits, long Sequence, long EndsAt, long GraceEndsAt);

/// <summary>What a pool makes of its lease, all from one moment under its lock.</summary>
/// <param name="Sequence">The number of the newest lease that was applied, ended or not; null when there was
/// none.</param>
/// <param name="Permits">The permits at this moment: 0 when no lease is in force.</param>
/// <param name="Opening">Sessions being opened.</param>
/// <param name="Idle">Sessions that wait to be rented.</param>
/// <param name="Used">Sessions that are rented, being reset or being recovered.</param>
/// <param name="Closing">Sessions closed here that the server may still hold.</param>
/// <param name="Pending">Rents that wait.</param>
/// <param name="Peak">The most of used and pending together since this was last read: a moment's counts would miss what
/// comes and goes in between.</param>
public readonly record struct LeaseUse(
    long? Sequence, int Permits, int Opening, int Idle, int Used, int Closing, int Pending, int Peak)
{
    /// <summary>All that may stand on the server: a shrink is applied once this is within the permits.</summary>
    public int Sessions => Opening + Idle + Used + Closing;
}
