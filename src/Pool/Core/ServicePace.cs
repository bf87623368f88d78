namespace UPool.Core;

/// <summary>
/// How long connections are away, from rent to the next rent they can serve; predicts the wait of a rent. Guarded by
/// the pool's lock.
/// </summary>
internal struct ServicePace
{
    // About the newest 16 rents count: enough to even out single ones, few enough to follow a change within the time of
    // a few waits.
    private const int Memory = 16;

    private double _average;

    /// <summary>A connection came back after this many ticks of the pool's clock, its reset included.</summary>
    public void Add(long ticks) => _average += (ticks - _average) / Memory;

    /// <summary>The time, in ticks, until a rent behind <paramref name="pending"/> others is served.</summary>
    /// <param name="pending">The rents before it.</param>
    /// <param name="connections">The connections that serve.</param>
    public readonly long PredictWait(int pending, int connections) =>
        (long)(_average * (pending + 1) / Math.Max(1, connections));
}
