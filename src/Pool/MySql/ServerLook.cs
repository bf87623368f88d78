namespace UPool.MySql;

/// <summary>A session of the deployment as the server knows it.</summary>
/// <param name="Id">The server's connection id.</param>
/// <param name="Host">Host and port of the client, as the process list shows them. Ids start again with the server; the
/// two together do not.</param>
/// <param name="Incarnation">The life of the process that registered it; null when no register knows it. Such a one
/// counts as used: it may be a session between its handshake and its registration.</param>
/// <param name="IsControl">Whether it is registered as a control connection, which no lease covers.</param>
/// <param name="Server">The name of the server that it is with; empty when it is not known.</param>
public sealed record DeploymentSession(
    long Id, string Host, string? Incarnation, bool IsControl, string Server = "");

/// <summary>What the server says of the deployment's sessions, pools' and control connections'.</summary>
/// <param name="Server">The server's own name for itself: another one means that the address leads to another
/// server.</param>
/// <param name="ServerStart">
/// A random value that lives as long as the server does: another one of the same server means that it restarted, and
/// that no session from before is left.
/// </param>
/// <param name="Sessions">All sessions that are there, or that this account may not see and that somebody
/// registered.</param>
/// <param name="IsSettled">
/// Whether everything that the server had accepted before the look's own session has logged in or gone. Only a fresh
/// look can say so; without PROCESS it goes by the order of acceptance alone.
/// </param>
/// <param name="Uptime">How long ago the server started, by its own count of whole seconds.</param>
/// <param name="MaxConnections">The server's max_connections.</param>
public sealed record ServerLook(
    string Server, string ServerStart, IReadOnlyList<DeploymentSession> Sessions, bool IsSettled, TimeSpan Uptime,
    int MaxConnections);
