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
/// <param name="Family">What kind of server it is.</param>
/// <param name="MaxPacket">The largest statement that it takes, in bytes.</param>
internal sealed record SessionFacts(
    ServerSession Session, bool IsProxied, string Look, string? AsNew, string Restore, DatabaseFamily Family,
    long MaxPacket)
{

    // What a reset itself sets stands first. Compared here, letter by letter: to the server two names may be equal that
    // differ in case. Quoted, so that no name can end where another begins.
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
        // to say who it is, and ids start again with the server.
        bool isProxied = unchecked((int)id) != connection.ServerThread || !host.Contains(':', StringComparison.Ordinal);
        return new SessionFacts(
            new ServerSession(id, host, ServerIdentity.Of(server)), isProxied, $"SELECT {state}",
            isAutocommit ? asNew : null, Restoring(family, database, collation, role), family, maxPacket);
    }

    /// <summary>The same, with the witness that its server's register has.</summary>
    public SessionFacts With(string? witness) =>
        this with { Session = Session with { Server = Session.Server with { Witness = witness } } };

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

    // A process list shows an ordinary account its own sessions.
    private static string Host(DatabaseFamily family) =>
        $"(SELECT HOST FROM {family.ProcessList} WHERE ID = CONNECTION_ID())";

    private static async Task<T> AskAsync<T>(MySqlConnection connection, string text, Func<MySqlDataReader, T> read)
    {
        // Without a bound of the driver's, as the open itself: given up and repeated it would count on the server
        // twice.
        using var command = new MySqlCommand(text, connection) { CommandTimeout = 0 };
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        return await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false)
            ? read(reader)
            : throw new InvalidOperationException("The server did not say who the session is.");
    }

    private static string? Text(MySqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static string Restoring(DatabaseFamily family, string? database, string collation, string? role)
    {
        // A collation's name starts with its charset's.
        string charset = collation.Split('_')[0];

        // Autocommit too: a server may be configured without, and a write in autocommit would be answered and then
        // rolled back by the next reset (INV-9).
        string restore = $"SET NAMES {charset} COLLATE {collation}, autocommit = 1";
        if (database is not null) restore += $"; USE `{database.Replace("`", "``", StringComparison.Ordinal)}`";
        if (family.RestoreRole(role) is { } restoreRole) restore += $"; {restoreRole}";

        // For FOUND_ROWS().
        return restore + "; SELECT 1";
    }
}
