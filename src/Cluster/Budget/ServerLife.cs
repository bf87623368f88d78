namespace UPool.Cluster.Budget;

/// <summary>One life of the database's server.</summary>
/// <param name="Start">Tells its starts apart, and it from every other server: a random value.</param>
/// <param name="Uptime">How long ago that was, by its own count.</param>
/// <param name="Name">The server's own name for itself, through all its starts; empty when it is not known.</param>
internal readonly record struct ServerLife(string Start, TimeSpan Uptime, string Name = "");
