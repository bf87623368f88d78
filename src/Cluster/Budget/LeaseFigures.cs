namespace UPool.Cluster.Budget;

/// <summary>A pool's counts, read together under its lock, after it was set to the permits of the grant that the same
/// request names as applied.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.LeaseFigures")]
internal readonly record struct LeaseFigures
{
    /// <summary>Connections being opened, until they have been registered and checked once more.</summary>
    [Id(0)] public int Opening { get; init; }

    /// <summary>Connections that wait to be rented.</summary>
    [Id(1)] public int Idle { get; init; }

    /// <summary>Connections that are rented, reset or recovered.</summary>
    [Id(2)] public int Used { get; init; }

    /// <summary>Connections closed here that the server may still hold.</summary>
    [Id(3)] public int Closing { get; init; }

    /// <summary>Pending rents.</summary>
    [Id(4)] public int Pending { get; init; }

    /// <summary>The peak of used and pending together since the figures of the previous request; 0 if not counted.
    /// Momentary figures would miss load that comes and goes within an interval.</summary>
    [Id(5)] public int Peak { get; init; }

    /// <summary>The median wait of recent rents.</summary>
    [Id(6)] public TimeSpan WaitP50 { get; init; }

    /// <summary>The 95th percentile of the waits of recent rents.</summary>
    [Id(7)] public TimeSpan WaitP95 { get; init; }

    /// <summary>The 99th percentile of the waits of recent rents.</summary>
    [Id(8)] public TimeSpan WaitP99 { get; init; }

    /// <summary>All connections that the server may count: opening, open and closing.</summary>
    public int Sessions => Opening + Idle + Used + Closing;

    /// <summary>How many connections this pool could use.</summary>
    public int Wanted => Math.Max(Peak, Used + Pending);
}
