namespace UPool.MySql;

/// <summary>
/// A session by what tells it from all others: its connection id, its client's host and port as the process list shows
/// them, <b>and</b> the server that it is with. Ids start again after a restart of the server; the two together do not
/// come back to somebody else's session while its socket's port is in use here.
/// </summary>
/// <param name="Id">The server's connection id.</param>
/// <param name="Host">Host and port of the client, as in the process list; empty when the session failed before it
/// could say. Such a one is waited for and never killed.</param>
/// <param name="Server">The server; without a name when it is not known, and then it may be any.</param>
internal readonly record struct ServerSession(long Id, string Host, ServerIdentity Server = default);
