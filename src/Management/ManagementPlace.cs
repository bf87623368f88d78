namespace UPool.Management;

/// <summary>The address of the management routes.</summary>
/// <param name="Port">Their own port; null if they share the ports of the program's routes.</param>
public sealed record ManagementPlace(int? Port);
