namespace UPool.Management;

/// <summary>The health of a process.</summary>
/// <param name="Started">Whether its silo is active or its client connected.</param>
/// <param name="Stopping">Whether it takes no new work.</param>
/// <param name="Problem">The problem, in one line without any secret; absent if there is none.</param>
public sealed record HealthReport(bool Started, bool Stopping, string? Problem);
