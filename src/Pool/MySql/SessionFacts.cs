using MySqlConnector;

namespace UPool.MySql;

/// <summary>What a session was when it was new: who it is on the server, and what a reset has to bring back.</summary>
/// <param name="Session">Who it is on the server.</param>
/// <param name="IsProxied">
/// The server's CONNECTION_ID() is not the one of the handshake: something multiplexes in between, ids may be
/// another's, and no KILL is ever sent.
/// </param>
/// <param name="Restore">
/// The statement that follows a reset. <c>COM_RESET_CONNECTION</c> leaves the current database, the role and
/// FOUND_ROWS() as the last renter left them, and on MySQL falls back to the server's default charset.
/// </param>
/// <param name="NeedsRestore">
/// Whether the session was not born as <paramref name="Restore"/> makes it: the server's autocommit is off. Any other
/// is spared a round trip.
/// </param>
internal sealed record SessionFacts(ServerSession Session, bool IsProxied, string Restore, bool NeedsRestore)
{
    // One round trip. A process list shows an ordinary account its own sessions.
    private const string Common =
        "SELECT CONNECTION_ID(), DATABASE(), @@collation_connection, @@autocommit, "
        + "(SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID())";

    public static async Task<SessionFacts> ReadAsync(MySqlConnection connection)
    {
        bool isMariaDb = connection.ServerVersion.Contains("MariaDB", StringComparison.OrdinalIgnoreCase);
        bool hasRoles = isMariaDb || !connection.ServerVersion.StartsWith("5.", StringComparison.Ordinal);

        // Without a bound of the driver's, as the open itself: given up and repeated it would count on the server
        // twice.
        using var command = new MySqlCommand(hasRoles ? Common + ", CURRENT_ROLE()" : Common, connection);
        command.CommandTimeout = 0;
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        if (!await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            throw new InvalidOperationException("The server did not say who the session is.");

        long id = reader.GetInt64(0);
        string? database = reader.IsDBNull(1) ? null : reader.GetString(1);
        string collation = reader.GetString(2);
        bool isAutocommit = reader.GetInt64(3) == 1;
        string host = reader.IsDBNull(4) ? "" : reader.GetString(4);
        string? role = hasRoles && !reader.IsDBNull(5) ? reader.GetString(5) : null;

        // The driver keeps the id in 32 bits. A host without a port is a local socket's: there the id alone would have
        // to say who it is, and ids start again with the server.
        bool isProxied = unchecked((int)id) != connection.ServerThread || !host.Contains(':', StringComparison.Ordinal);
        return new SessionFacts(
            new ServerSession(id, host), isProxied,
            Restoring(isMariaDb, hasRoles, database, collation, role), NeedsRestore: !isAutocommit);
    }

    private static string Restoring(bool isMariaDb, bool hasRoles, string? database, string collation, string? role)
    {
        // A collation's name starts with its charset's.
        string charset = collation.Split('_')[0];

        // Autocommit too: a server may be configured without, and a write in autocommit would be answered and then
        // rolled back by the next reset (INV-9).
        string restore = $"SET NAMES {charset} COLLATE {collation}, autocommit = 1";
        if (database is not null) restore += $"; USE {Quote(database)}";
        if (hasRoles && isMariaDb) restore += $"; SET ROLE {(role is null ? "NONE" : Quote(role))}";

        // MySQL answers with a list that is quoted already, or with NONE.
        else if (hasRoles) restore += $"; SET ROLE {role ?? "NONE"}";

        // FOUND_ROWS() outlives a reset as well; now it is of this.
        return restore + "; SELECT 1";
    }

    private static string Quote(string name) => "`" + name.Replace("`", "``", StringComparison.Ordinal) + "`";
}
