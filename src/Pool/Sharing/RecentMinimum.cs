namespace UPool.Sharing;

/// <summary>The shortest of the most recent durations: an estimate of the time without any queue. Guarded by the lock
/// of its owner.</summary>
internal sealed class RecentMinimum
{
    // Enough that one of them met no queue; few enough to notice within a second that the database has become farther
    // away.
    private const int Count = 64;

    private readonly long[] _ticks = new long[Count];
    private int _next;

    /// <summary>In the owner's ticks; 0 until the first 64 durations are known.</summary>
    public long Ticks { get; private set; }

    /// <summary>Adds a duration.</summary>
    public void Add(long ticks)
    {
        _ticks[_next] = Math.Max(1, ticks);
        _next = (_next + 1) % Count;
        Ticks = _ticks.Min();
    }
}
