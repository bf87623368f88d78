namespace UPool.Cluster.Budget;

/// <summary>A session of the deployment's account as the server lists it, joined with the register on id and
/// host.</summary>
/// <param name="Id">The server's connection id; used again after a restart.</param>
/// <param name="Host">Host and port, as the process list shows them.</param>
/// <param name="Incarnation">Who registered it; null when nobody did.</param>
/// <param name="IsControl">Whether it is a control connection: those are no pool's, and counted apart.</param>
internal readonly record struct ServerSession(long Id, string Host, string? Incarnation, bool IsControl);

/// <summary>One life of the database's server.</summary>
/// <param name="Start">Tells its starts apart, and it from every other server: its identity and when it
/// started.</param>
/// <param name="Uptime">How long ago that was, by its own count.</param>
internal readonly record struct ServerLife(string Start, TimeSpan Uptime);
