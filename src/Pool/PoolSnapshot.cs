namespace UPool;

/// <summary>The state of a pool at one moment: counts read together under its lock, and totals since the pool was
/// created.</summary>
public sealed record PoolSnapshot
{
    /// <summary>The pool's name.</summary>
    public required string Pool { get; init; }

    /// <summary>The most connections the pool may hold now.</summary>
    public required int Permits { get; init; }

    /// <summary>Connections being opened.</summary>
    public required int Opening { get; init; }

    /// <summary>Connections ready to be rented.</summary>
    public required int Idle { get; init; }

    /// <summary>Connections that are rented, being reset after a return, or being recovered.</summary>
    public required int Used { get; init; }

    /// <summary>Connections that the pool has closed and the server may still hold.</summary>
    public required int Closing { get; init; }

    /// <summary>Pending rents.</summary>
    public required int Pending { get; init; }

    /// <summary>Rents served.</summary>
    public required long Rented { get; init; }

    /// <summary>Rents that timed out.</summary>
    public required long TimedOut { get; init; }

    /// <summary>Rents rejected without waiting.</summary>
    public required long Rejected { get; init; }

    /// <summary>Connections opened.</summary>
    public required long Opened { get; init; }

    /// <summary>Connections closed, by reason.</summary>
    public required IReadOnlyDictionary<string, long> Closed { get; init; }

    /// <summary>Operations cut off from their caller: by a deadline, a cancellation, a close, a lease's end or a
    /// drain.</summary>
    public required long Severed { get; init; }

    /// <summary>How long recent rents waited.</summary>
    public required DurationPercentiles Wait { get; init; }

    /// <summary>How long recent connections were held.</summary>
    public required DurationPercentiles Use { get; init; }
}

/// <summary>Percentiles of recent durations (the newest 1,024); zero when there were none.</summary>
/// <param name="P50">The median.</param>
/// <param name="P95">The 95th percentile.</param>
/// <param name="P99">The 99th percentile.</param>
public readonly record struct DurationPercentiles(TimeSpan P50, TimeSpan P95, TimeSpan P99);
