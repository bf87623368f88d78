namespace UPool.Management;

/// <summary>Where the management routes are.</summary>
/// <param name="Port">The port that they have to themselves; null when they stand beside the program's own.</param>
public sealed record ManagementPlace(int? Port);
