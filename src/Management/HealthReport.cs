namespace UPool.Management;

/// <summary>What a process says about itself.</summary>
/// <param name="Started">Whether its silo is active, or its client connected.</param>
/// <param name="Stopping">Whether it takes no new work.</param>
/// <param name="Problem">What ails it, in one plain line without any secret; absent when nothing does.</param>
public sealed record HealthReport(bool Started, bool Stopping, string? Problem);
