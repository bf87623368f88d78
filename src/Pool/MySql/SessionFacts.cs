using MySqlConnector;

namespace UPool.MySql;

/// <summary>The facts about a new session: its identity on the server, and the state that a reset has to
/// restore.</summary>
/// <param name="Session">Its identity on the server.</param>
/// <param name="IsProxied">
/// Whether the id does not identify the session: CONNECTION_ID() differs from the id of the handshake (a multiplexing
/// proxy), or the host has no port (a local socket). No KILL is sent then.
/// </param>
/// <param name="Look">
/// The SELECT that follows a reset. It reads the state that <c>COM_RESET_CONNECTION</c> leaves as the last renter had
/// it (the current database and the role) and the state that it sets to the server's defaults, which may differ from a
/// new session's (charset and autocommit). FOUND_ROWS() outlives a reset too; after this SELECT it has this SELECT's
/// value.
/// </param>
/// <param name="AsNew">
/// The answer of <paramref name="Look"/> on a session as new; null if a new session starts in another state, so that
/// <paramref name="Restore"/> must follow every reset.
/// </param>
/// <param name="Restore">The statement that restores that state. It takes twice the time of the look.</param>
/// <param name="Family">The server's family.</param>
/// <param name="MaxPacket">The largest statement that the server accepts, in bytes.</param>
internal sealed record SessionFacts(
    ServerSession Session, bool IsProxied, string Look, string? AsNew, string Restore, DatabaseFamily Family,
    long MaxPacket)
{

    // The settings that a reset changes come first. The answer is compared ordinally in this process, because the
    // server may treat names that differ in case as equal. Names are quoted, so that they cannot run into each other.
    private const string Settings =
        "@@autocommit, @@character_set_client, @@character_set_results, @@collation_connection";

    public static async Task<SessionFacts> ReadAsync(MySqlConnection connection)
    {
        DatabaseFamily family = DatabaseFamily.Of(connection.ServerVersion);
        string state =
            $"CONCAT_WS('|', {Settings}, QUOTE(DATABASE()){(family.HasRoles ? ", QUOTE(CURRENT_ROLE())" : "")})";

        // One round trip.
        (long id, string? database, string collation, bool isAutocommit, string? host, string? asNew, string? role,
            string? server, long maxPacket) = await AskAsync(
                connection,
                $"SELECT CONNECTION_ID(), DATABASE(), @@collation_connection, @@autocommit, {Host(family)}, {state}, "
                    + $"{(family.HasRoles ? "CURRENT_ROLE()" : "NULL")}, {family.Identity}, @@max_allowed_packet",
                static row => (row.GetInt64(0), Text(row, 1), row.GetString(2), row.GetInt64(3) == 1, Text(row, 4),
                    Text(row, 5), Text(row, 6), Text(row, 7), row.GetInt64(8))).ConfigureAwait(false);
        if (host is null)
        {
            family = family.WithoutProcessList();
            host = await AskAsync(
                connection, $"SELECT {Host(family)}", static row => Text(row, 0)).ConfigureAwait(false) ?? "";
        }

        // The driver keeps the id in 32 bits. A host without a port is a local socket's: there the id alone would have
        // to identify the session, and ids start again with the server.
        bool isProxied = unchecked((int)id) != connection.ServerThread || !host.Contains(':', StringComparison.Ordinal);
        return new SessionFacts(
            new ServerSession(id, host, ServerIdentity.Of(server)), isProxied, $"SELECT {state}",
            isAutocommit ? asNew : null, Restoring(family, database, collation, role), family, maxPacket);
    }

    /// <summary>The same facts with the witness from the server's register.</summary>
    public SessionFacts With(string? witness) =>
        this with { Session = Session with { Server = Session.Server with { Witness = witness } } };

    /// <summary>
    /// Whether the settings that a reset changes differ in the answer of a look: the server's defaults are then not a
    /// new session's, and the next reset will have the same result. Otherwise the renter caused the difference.
    /// </summary>
    public bool IsOfTheServer(string? seen) => SettingsOf(seen) != SettingsOf(AsNew);

    private static string? SettingsOf(string? state)
    {
        int end = state?.IndexOf('\'', StringComparison.Ordinal) ?? -1;
        return end < 0 ? null : state![..end];
    }

    // A process list shows an ordinary account its own sessions.
    private static string Host(DatabaseFamily family) =>
        $"(SELECT HOST FROM {family.ProcessList} WHERE ID = CONNECTION_ID())";

    private static async Task<T> AskAsync<T>(MySqlConnection connection, string text, Func<MySqlDataReader, T> read)
    {
        // The driver sets no timeout here, as in the open itself: a session given up and opened again would count on
        // the server twice.
        using var command = new MySqlCommand(text, connection) { CommandTimeout = 0 };
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        return await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false)
            ? read(reader)
            : throw new InvalidOperationException("The server did not return the identity of the session.");
    }

    private static string? Text(MySqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static string Restoring(DatabaseFamily family, string? database, string collation, string? role)
    {
        // A collation's name starts with its charset's.
        string charset = collation.Split('_')[0];

        // Autocommit too: a server may default to none, and a write would then be acknowledged and rolled back by the
        // next reset (INV-9).
        string restore = $"SET NAMES {charset} COLLATE {collation}, autocommit = 1";
        if (database is not null) restore += $"; USE `{database.Replace("`", "``", StringComparison.Ordinal)}`";
        if (family.RestoreRole(role) is { } restoreRole) restore += $"; {restoreRole}";

        // For FOUND_ROWS().
        return restore + "; SELECT 1";
    }
}
