namespace UPool.Core;

/// <summary>The newest durations, for the percentiles of a snapshot. Guarded by the pool's lock.</summary>
internal sealed class DurationWindow
{
    // A power of two, so that wrapping around costs no division.
    private const int Capacity = 1024;

    private readonly long[] _ticks = new long[Capacity];
    private int _next;
    private int _count;

    /// <summary>Remembers a duration, in ticks of the pool's clock.</summary>
    public void Add(long ticks)
    {
        _ticks[_next] = ticks;
        _next = (_next + 1) & (Capacity - 1);
        if (_count < Capacity) _count++;
    }

    /// <summary>A copy of the durations, for sorting outside the lock.</summary>
    public long[] Copy() => _ticks.AsSpan(0, _count).ToArray();

    /// <summary>Percentiles by nearest rank.</summary>
    public static DurationPercentiles Percentiles(long[] ticks, TimeProvider clock)
    {
        if (ticks.Length == 0) return default;

        Array.Sort(ticks);
        return new DurationPercentiles(At(0.50), At(0.95), At(0.99));

        TimeSpan At(double share) =>
            clock.GetElapsedTime(0, ticks[Math.Max(0, (int)Math.Ceiling(share * ticks.Length) - 1)]);
    }
}
