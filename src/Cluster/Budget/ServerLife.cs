namespace UPool.Cluster.Budget;

/// <summary>One life of the database's server.</summary>
/// <param name="Start">Tells its starts apart, and it from every other server: its identity and when it
/// started.</param>
/// <param name="Uptime">How long ago that was, by its own count.</param>
internal readonly record struct ServerLife(string Start, TimeSpan Uptime);
