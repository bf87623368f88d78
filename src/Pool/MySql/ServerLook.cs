namespace UPool.MySql;

/// <summary>A session of the deployment as the server knows it.</summary>
/// <param name="Id">The server's connection id.</param>
/// <param name="Host">Host and port of the client, as in the process list. Ids start again with the server; id and host
/// together do not recur.</param>
/// <param name="Incarnation">The incarnation that registered it; null if it is not registered. An unregistered session
/// counts as used: it may be between its handshake and its registration.</param>
/// <param name="IsControl">Whether it is registered as a control connection, which no lease covers.</param>
/// <param name="Server">The name of its server; empty if it is unknown.</param>
public sealed record DeploymentSession(
    long Id, string Host, string? Incarnation, bool IsControl, string Server = "");

/// <summary>The deployment's sessions on the server, those of pools and of control connections.</summary>
/// <param name="Server">The server's own name for itself: another name means that the address leads to another
/// server.</param>
/// <param name="ServerStart">
/// A random value that lives as long as the server does: another value with the same server means that the server has
/// restarted and no earlier session is left.
/// </param>
/// <param name="Sessions">All sessions that exist, and registered ones that this account may not see.</param>
/// <param name="IsSettled">
/// Whether every connection that the server accepted before the look's own session has logged in or gone. Only a fresh
/// look can tell; without PROCESS it relies on the order of acceptance alone.
/// </param>
/// <param name="Uptime">The time since the server started, in whole seconds by its own count.</param>
/// <param name="MaxConnections">The server's max_connections.</param>
public sealed record ServerLook(
    string Server, string ServerStart, IReadOnlyList<DeploymentSession> Sessions, bool IsSettled, TimeSpan Uptime,
    int MaxConnections);
