namespace UPool.Core;

/// <summary>
/// The pause between two attempts to reach an unavailable server. It doubles up to a maximum and is shortened at random
/// by up to half, so that clients that lost the server together do not come back together. Not thread-safe.
/// </summary>
internal struct Backoff(TimeSpan min, TimeSpan max)
{
    // Beyond this, doubling the shortest pause would overflow; any sensible maximum is reached long before.
    private const int MaxDoublings = 16;

    private int _failures;

    /// <summary>Counts a failed attempt. Returns the pause before the next one, at least the shortest pause.</summary>
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
