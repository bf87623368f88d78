namespace UPool.MySql;

/// <summary>
/// The identity of a session: its connection id, its client's host and port as in the process list, <b>and</b> its
/// server. Ids start again after a restart of the server. Id and host together do not recur for another session while
/// this process uses the socket's port.
/// </summary>
/// <param name="Id">The server's connection id.</param>
/// <param name="Host">Host and port of the client, as in the process list; empty if the session failed before it was
/// known. Such a session is waited for and never killed.</param>
/// <param name="Server">The server; without a name if it is unknown, and then it may be any server.</param>
internal readonly record struct ServerSession(long Id, string Host, ServerIdentity Server = default);
