namespace UPool.Bench.Pool;

/// <summary>The figures of one side at one point: one a round.</summary>
internal sealed record Row(string Name, string Side, Point Point, string Unit)
{
    public List<double> Values { get; } = [];

    /// <summary>The most that a round allocated for one operation.</summary>
    public long? Bytes { get; set; }
}

/// <summary>Where a side was measured.</summary>
internal sealed record Point(int Workers);
