namespace UPool.Bench.Runner.Report;

/// <summary>A target and its measurement.</summary>
/// <param name="What">The subject of the target.</param>
/// <param name="Limit">The target.</param>
/// <param name="Figure">The measured figure.</param>
/// <param name="IsMet">Whether the target is met; null if not measured.</param>
internal sealed record Bar(string What, string Limit, string Figure, bool? IsMet)
{
    /// <summary>A bar without a measurement.</summary>
    public static Bar Open(string what, string limit) => new(what, limit, "not measured", null);
}
