namespace UPool.Cluster.Budget;

/// <summary>What a pool counts, taken together under its lock, after the permits of the grant that the same request
/// names as applied were set.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.LeaseFigures")]
internal readonly record struct LeaseFigures
{
    /// <summary>Connections being opened, until they have been registered and looked at once more.</summary>
    [Id(0)] public int Opening { get; init; }

    /// <summary>Connections that wait to be rented.</summary>
    [Id(1)] public int Idle { get; init; }

    /// <summary>Connections that are rented, reset or recovered.</summary>
    [Id(2)] public int Used { get; init; }

    /// <summary>Connections that are closed here and that the server may still hold.</summary>
    [Id(3)] public int Closing { get; init; }

    /// <summary>Rents that wait.</summary>
    [Id(4)] public int Pending { get; init; }

    /// <summary>The most of used and pending together since the figures of the request before; 0 when it is not
    /// counted. A moment's figures would miss what comes and goes within an interval.</summary>
    [Id(5)] public int Peak { get; init; }

    /// <summary>The median wait of recent rents.</summary>
    [Id(6)] public TimeSpan WaitP50 { get; init; }

    /// <summary>The 95th percentile of the waits of recent rents.</summary>
    [Id(7)] public TimeSpan WaitP95 { get; init; }

    /// <summary>The 99th percentile of the waits of recent rents.</summary>
    [Id(8)] public TimeSpan WaitP99 { get; init; }

    /// <summary>All that the server may count: opening, open and closing.</summary>
    public int Sessions => Opening + Idle + Used + Closing;

    /// <summary>How many connections this pool could use.</summary>
    public int Wanted => Math.Max(Peak, Used + Pending);
}
