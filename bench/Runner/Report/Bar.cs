namespace UPool.Bench.Runner.Report;

/// <summary>Something that was promised, and what was measured of it.</summary>
/// <param name="What">What was promised something of.</param>
/// <param name="Limit">The promise.</param>
/// <param name="Figure">What was measured.</param>
/// <param name="IsMet">Whether it is kept; null when it was not measured.</param>
internal sealed record Bar(string What, string Limit, string Figure, bool? IsMet)
{
    /// <summary>One that was not measured.</summary>
    public static Bar Open(string what, string limit) => new(what, limit, "not measured", null);
}
