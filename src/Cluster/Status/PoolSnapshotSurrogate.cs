namespace UPool.Cluster.Status;

/// <summary>A <see cref="PoolSnapshot"/> on the wire: the pool does not reference Orleans.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.PoolSnapshot")]
internal struct PoolSnapshotSurrogate
{
    /// <summary>The pool's name.</summary>
    [Id(0)] public string Pool { get; set; }

    /// <summary>Permits, opening, idle, used, closing, pending.</summary>
    [Id(1)] public int[] Counts { get; set; }

    /// <summary>Rented, timed out, rejected, opened, severed.</summary>
    [Id(2)] public long[] Totals { get; set; }

    /// <summary>Connections that were closed, by reason.</summary>
    [Id(3)] public Dictionary<string, long> Closed { get; set; }

    /// <summary>P50, P95 and P99 of the wait, then of the use.</summary>
    [Id(4)] public TimeSpan[] Percentiles { get; set; }
}

/// <summary>Carries <see cref="PoolSnapshot"/>.</summary>
[RegisterConverter]
internal sealed class PoolSnapshotConverter : IConverter<PoolSnapshot, PoolSnapshotSurrogate>
{
    /// <inheritdoc/>
    public PoolSnapshot ConvertFromSurrogate(in PoolSnapshotSurrogate surrogate) => new()
    {
        Pool = surrogate.Pool,
        Permits = surrogate.Counts[0],
        Opening = surrogate.Counts[1],
        Idle = surrogate.Counts[2],
        Used = surrogate.Counts[3],
        Closing = surrogate.Counts[4],
        Pending = surrogate.Counts[5],
        Rented = surrogate.Totals[0],
        TimedOut = surrogate.Totals[1],
        Rejected = surrogate.Totals[2],
        Opened = surrogate.Totals[3],
        Severed = surrogate.Totals[4],
        Closed = surrogate.Closed,
        Wait = new DurationPercentiles(
            surrogate.Percentiles[0], surrogate.Percentiles[1], surrogate.Percentiles[2]),
        Use = new DurationPercentiles(
            surrogate.Percentiles[3], surrogate.Percentiles[4], surrogate.Percentiles[5]),
    };

    /// <inheritdoc/>
    public PoolSnapshotSurrogate ConvertToSurrogate(in PoolSnapshot value) => new()
    {
        Pool = value.Pool,
        Counts = [value.Permits, value.Opening, value.Idle, value.Used, value.Closing, value.Pending],
        Totals = [value.Rented, value.TimedOut, value.Rejected, value.Opened, value.Severed],
        Closed = new Dictionary<string, long>(value.Closed),
        Percentiles = [value.Wait.P50, value.Wait.P95, value.Wait.P99, value.Use.P50, value.Use.P95, value.Use.P99],
    };
}
