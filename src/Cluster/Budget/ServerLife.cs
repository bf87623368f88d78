namespace UPool.Cluster.Budget;

/// <summary>One run of the database's server, from a start to the next.</summary>
/// <param name="Start">A random value that tells this start apart from any other, of any server.</param>
/// <param name="Uptime">The time since the start, by the server's clock.</param>
/// <param name="Name">The server's own name, the same through all its starts; empty if unknown.</param>
internal readonly record struct ServerLife(string Start, TimeSpan Uptime, string Name = "");
