using System.Globalization;
using System.Security.Cryptography;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>
/// The table in which every session of a deployment with a budget registers the incarnation that it belongs to (INV-2).
/// The server keeps it in memory: a restart empties it, and no session is left then either.
/// </summary>
/// <remarks>
/// A session writes its own row before its first use. The kill lane removes the row after its answers, once the server
/// has confirmed that the session is gone. For the rows of a dead process, the next look asks the lane. So no request
/// waits for a removal, and there are no more rows than sessions since the last look.
/// </remarks>
internal sealed class SessionRegister
{
    /// <summary>The table's name, in the database of the control connections.</summary>
    public const string Table = "upool_session";

    // The width of its column, which is ASCII.
    private const int MaxIncarnationLength = 128;

    /// <summary>The id of the row that holds a server's witness: no session has this id.</summary>
    public const int WitnessId = 0;

    private readonly string _add;

    /// <param name="database">The database of the control connections.</param>
    /// <param name="incarnation">This process's incarnation.</param>
    public SessionRegister(string database, string incarnation)
    {
        if (incarnation.Length is 0 or > MaxIncarnationLength || !incarnation.All(IsPlain))
        {
            throw new ArgumentException(
                "An incarnation has 1 to 128 letters, digits, points, colons, at signs, hyphens and underscores.",
                nameof(incarnation));
        }

        Incarnation = incarnation;
        QualifiedTable = $"`{database.Replace("`", "``", StringComparison.Ordinal)}`.{Table}";

        // REPLACE: a copy of the server may have brought a row with this id.
        _add = $"{AddWitness}; "
            + $"REPLACE INTO {QualifiedTable} (Server, ConnectionId, Host, Account, Incarnation, IsControl) "
            + "VALUES (@server, @id, @host, @account, @incarnation, @control); "
            + $"SELECT Incarnation FROM {QualifiedTable} WHERE Server = @server AND ConnectionId = {WitnessId}";
    }

    public string Incarnation { get; }

    public string QualifiedTable { get; }

    /// <summary>The statement with which the first session after the server's start inserts the witness; has the
    /// parameters <c>@server</c> and <c>@witness</c>.</summary>
    public string AddWitness =>
        $"INSERT IGNORE INTO {QualifiedTable} (Server, ConnectionId, Host, Account, Incarnation, IsControl) "
        + string.Create(CultureInfo.InvariantCulture, $"VALUES (@server, {WitnessId}, '', '', @witness, TRUE)");

    /// <summary>A new random value for a witness.</summary>
    public static string NewWitness() => Convert.ToHexString(RandomNumberGenerator.GetBytes(16));

    /// <summary>Registers a pool's session over that session.</summary>
    /// <returns>The witness of its server.</returns>
    /// <exception cref="SessionRegisterException">Registering failed; the session must not be used.</exception>
    public async Task<string?> AddAsync(MySqlConnection connection, SessionFacts facts)
    {
        if (facts.IsProxied)
        {
            throw new SessionRegisterException(
                "behind a multiplexing proxy or a local socket its id means nothing. Connect to the server itself over "
                + "TCP.");
        }

        return await AddAsync(connection, facts, isControl: false).ConfigureAwait(false)
            ?? throw new SessionRegisterException("there is no such table. Apply the schema.");
    }

    /// <summary>The same for control connections. They must work without being registered, to create the table, to find
    /// out that no budget can be kept here, and to end sessions with a server that has become read-only. Null if the
    /// server is read-only, the table is missing, or the session's id may be another session's.</summary>
    public async Task<string?> TryAddControlAsync(MySqlConnection connection, SessionFacts facts)
    {
        if (facts.IsProxied) return null;

        try
        {
            return await AddAsync(connection, facts, isControl: true).ConfigureAwait(false);
        }
        catch (MySqlException exception) when (MySqlErrors.Classify(exception) == DriverFailure.WrongServer)
        {
            return null;
        }
    }

    /// <summary>Removes the rows of sessions that are gone, of any process.</summary>
    /// <param name="connection">A session with the same server.</param>
    /// <param name="gone">The sessions.</param>
    /// <param name="server">The server's name.</param>
    public async Task RemoveAsync(MySqlConnection connection, IEnumerable<ServerSession> gone, string? server)
    {
        using var command = new MySqlCommand(connection, null) { CommandTimeout = 0 };
        command.Parameters.AddWithValue("@server", server ?? "");
        List<string> keys = [];
        foreach (ServerSession session in gone)
        {
            // The host is part of the key: the id may be another session's by now.
            string name = string.Create(CultureInfo.InvariantCulture, $"@host{keys.Count}");
            command.Parameters.AddWithValue(name, session.Host);
            keys.Add(string.Create(CultureInfo.InvariantCulture, $"(ConnectionId = {session.Id} AND Host = {name})"));
        }

        command.CommandText =
            $"DELETE FROM {QualifiedTable} WHERE Server = @server AND ({string.Join(" OR ", keys)})";
        await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private async Task<string?> AddAsync(MySqlConnection connection, SessionFacts facts, bool isControl)
    {
        using var command = new MySqlCommand(_add, connection) { CommandTimeout = 0 };
        command.Parameters.AddWithValue("@server", facts.Session.Server.Name ?? "");
        command.Parameters.AddWithValue("@witness", NewWitness());
        command.Parameters.AddWithValue("@id", facts.Session.Id);
        command.Parameters.AddWithValue("@host", facts.Session.Host);
        command.Parameters.AddWithValue("@account", AccountOf(connection));
        command.Parameters.AddWithValue("@incarnation", Incarnation);
        command.Parameters.AddWithValue("@control", isControl);
        try
        {
            return await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false) as string
                ?? throw new SessionRegisterException("a row that was just written is missing.");
        }
        catch (MySqlException exception) when (exception.ErrorCode == MySqlErrorCode.NoSuchTable)
        {
            return null;
        }
        catch (MySqlException exception) when (exception.ErrorCode == MySqlErrorCode.BadFieldError)
        {
            throw new SessionRegisterException(
                "the table is of an older version. Drop it and apply the schema.", exception);
        }

        // The server's own error for read-only is the better message.
        catch (MySqlException exception) when (
            exception.Number != 0 && MySqlErrors.Classify(exception) != DriverFailure.WrongServer)
        {
            throw new SessionRegisterException(
                $"error {exception.Number}. The account needs SELECT, INSERT and DELETE on that table.", exception);
        }
    }

    private static string AccountOf(MySqlConnection connection) =>
        new MySqlConnectionStringBuilder(connection.ConnectionString).UserID;

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or ':' or '@' or '-' or '_';
}

/// <summary>A session could not register itself. A type of its own, because the driver's exception does not name the
/// attempted operation.</summary>
internal sealed class SessionRegisterException(string why, Exception? inner = null) : Exception(why, inner);
