namespace UPool.Sharing;

/// <summary>The shortest of the newest durations: what is left when nothing stands in the way. Guarded by the lock of
/// its owner.</summary>
internal sealed class ShortestOfLate
{
    // Enough that one of them met no queue, few enough to notice within a second that the way has become longer.
    private const int Count = 64;

    private readonly long[] _ticks = new long[Count];
    private int _next;

    /// <summary>In ticks of whoever measures; 0 until there are enough to say.</summary>
    public long Ticks { get; private set; }

    /// <summary>Remembers a duration.</summary>
    public void Add(long ticks)
    {
        _ticks[_next] = Math.Max(1, ticks);
        _next = (_next + 1) % Count;
        Ticks = _ticks.Min();
    }
}
