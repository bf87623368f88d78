namespace UPool;

/// <summary>Whether the database answers, as the pool last saw it.</summary>
/// <param name="IsHealthy">Whether the last open or statement was answered.</param>
/// <param name="Problem">The problem in one line, without any secret; null when healthy.</param>
public sealed record PoolHealth(bool IsHealthy, string? Problem);
