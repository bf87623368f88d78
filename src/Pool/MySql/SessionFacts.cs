using MySqlConnector;

namespace UPool.MySql;

/// <summary>What a session was when it was new: who it is on the server, and what a reset has to bring back.</summary>
/// <param name="Session">Who it is on the server.</param>
/// <param name="IsProxied">
/// The server's CONNECTION_ID() is not the one of the handshake: something multiplexes in between, ids may be
/// another's, and no KILL is ever sent.
/// </param>
/// <param name="Look">
/// The SELECT that follows a reset: what <c>COM_RESET_CONNECTION</c> leaves as the last renter had it, the current
/// database and the role, and what it brings to the server's defaults, which need not be those of a new session:
/// charset and autocommit. FOUND_ROWS() outlives a reset as well; after this it is of this.
/// </param>
/// <param name="AsNew">
/// The answer of <paramref name="Look"/> on a session as new; null when the session was not born so, and a reset has to
/// be followed by <paramref name="Restore"/> in any case.
/// </param>
/// <param name="Restore">The statement that brings all of that back. It takes twice the time of the look.</param>
internal sealed record SessionFacts(ServerSession Session, bool IsProxied, string Look, string? AsNew, string Restore)
{
    // One round trip. A process list shows an ordinary account its own sessions.
    private const string Common =
        "SELECT CONNECTION_ID(), DATABASE(), @@collation_connection, @@autocommit, "
        + "(SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()), ";

    // What a reset itself sets stands first. Compared here, letter by letter: to the server two names may be equal that
    // differ in case. Quoted, so that no name can end where another begins.
    private const string Settings =
        "@@autocommit, @@character_set_client, @@character_set_results, @@collation_connection";

    public static async Task<SessionFacts> ReadAsync(MySqlConnection connection)
    {
        bool isMariaDb = connection.ServerVersion.Contains("MariaDB", StringComparison.OrdinalIgnoreCase);
        bool hasRoles = isMariaDb || !connection.ServerVersion.StartsWith("5.", StringComparison.Ordinal);
        string state = $"CONCAT_WS('|', {Settings}, QUOTE(DATABASE()){(hasRoles ? ", QUOTE(CURRENT_ROLE())" : "")})";

        // Without a bound of the driver's, as the open itself: given up and repeated it would count on the server
        // twice.
        using var command = new MySqlCommand(
            Common + state + (hasRoles ? ", CURRENT_ROLE()" : ""), connection);
        command.CommandTimeout = 0;
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        if (!await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            throw new InvalidOperationException("The server did not say who the session is.");

        long id = reader.GetInt64(0);
        string? database = reader.IsDBNull(1) ? null : reader.GetString(1);
        string collation = reader.GetString(2);
        bool isAutocommit = reader.GetInt64(3) == 1;
        string host = reader.IsDBNull(4) ? "" : reader.GetString(4);
        string? role = hasRoles && !reader.IsDBNull(6) ? reader.GetString(6) : null;

        // The driver keeps the id in 32 bits. A host without a port is a local socket's: there the id alone would have
        // to say who it is, and ids start again with the server.
        bool isProxied = unchecked((int)id) != connection.ServerThread || !host.Contains(':', StringComparison.Ordinal);
        return new SessionFacts(
            new ServerSession(id, host), isProxied, $"SELECT {state}",
            isAutocommit ? reader.GetValue(5) as string : null,
            Restoring(isMariaDb, hasRoles, database, collation, role));
    }

    /// <summary>
    /// Whether what a look has shown differs in what the reset sets: the server's defaults are not a new session's, and
    /// after the next reset it would be the same. Else it was the renter's doing.
    /// </summary>
    public bool IsOfTheServer(string? seen) => SettingsOf(seen) != SettingsOf(AsNew);

    private static string? SettingsOf(string? state)
    {
        int end = state?.IndexOf('\'', StringComparison.Ordinal) ?? -1;
        return end < 0 ? null : state![..end];
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

        // For FOUND_ROWS().
        return restore + "; SELECT 1";
    }

    private static string Quote(string name) => "`" + name.Replace("`", "``", StringComparison.Ordinal) + "`";
}
