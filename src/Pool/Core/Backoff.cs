namespace UPool.Core;

/// <summary>
/// The pause between two attempts at a server that is away: doubled each time up to a most, and shortened at random by
/// up to a half, so that those who lost it together do not come back together. Not safe for use by several threads.
/// </summary>
internal struct Backoff(TimeSpan min, TimeSpan max)
{
    // Beyond it a double of the shortest pause would overflow, long after it has passed any sensible most.
    private const int MaxDoublings = 16;

    private int _failures;

    /// <summary>One more attempt has failed: how long to wait before the next, at least the shortest pause.</summary>
    public TimeSpan Next()
    {
        double doubled = min.TotalSeconds * Math.Pow(2, Math.Min(_failures, MaxDoublings));
        _failures++;
        double jittered = Math.Min(doubled, max.TotalSeconds) * (1 - 0.5 * Random.Shared.NextDouble());
        return TimeSpan.FromSeconds(Math.Max(jittered, min.TotalSeconds));
    }

    /// <summary>An attempt has succeeded.</summary>
    public void Reset() => _failures = 0;
}
