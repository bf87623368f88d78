namespace UPool.MySql;

/// <summary>
/// Who a session is on the server: its connection id <b>and</b> its client's host and port as the process list shows
/// them. Ids start again after a restart of the server; the two together do not come back to somebody else's session
/// while its socket's port is in use here.
/// </summary>
/// <param name="Id">The server's connection id.</param>
/// <param name="Host">Host and port of the client, as in <c>information_schema.PROCESSLIST</c>; empty when the session
/// failed before it could say. Such a one is waited for and never killed.</param>
internal readonly record struct ServerSession(long Id, string Host);
