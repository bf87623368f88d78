namespace UPool.Bench.Pool;

/// <summary>The figures of one side at one point: one per round.</summary>
internal sealed record Row(string Name, string Side, Point Point, string Unit)
{
    public List<double> Values { get; } = [];

    /// <summary>The most bytes per operation that a round allocated.</summary>
    public long? Bytes { get; set; }
}

/// <summary>The point at which a side was measured.</summary>
internal sealed record Point(int Workers);
