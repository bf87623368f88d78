using System.Globalization;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// The table in which every session of a deployment with a budget says which life of which process it belongs to
/// (INV-2). In memory on the server: a restart empties it, and no session is left then either.
/// </summary>
/// <remarks>
/// A row is written on its own session before the session's first use, and removed by the kill lane, behind its
/// answers, once the server has said that the session is gone. For the rows of a process that died the next look asks
/// the lane. So no request waits for a removal, and there are no more rows than sessions since the last look.
/// </remarks>
internal sealed class SessionRegister
{
    /// <summary>The table's name, in the database of the control connections.</summary>
    public const string Table = "upool_session";

    // The width of its column, which is ASCII.
    private const int MaxIncarnationLength = 128;

    private readonly string _add;

    /// <param name="database">The database of the control connections.</param>
    /// <param name="incarnation">This life of this process.</param>
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

        // Replaced, because a server that took over from another may hold the other's row under this id.
        _add = $"REPLACE INTO {QualifiedTable} (ConnectionId, Host, Account, Incarnation, IsControl) "
            + "VALUES (@id, @host, @account, @incarnation, @control)";
    }

    public string Incarnation { get; }

    public string QualifiedTable { get; }

    /// <summary>Registers a pool's session on itself.</summary>
    /// <exception cref="SessionRegisterException">It could not; the session must not be used.</exception>
    public async Task AddAsync(MySqlConnection connection, SessionFacts facts)
    {
        if (facts.IsProxied)
        {
            throw new SessionRegisterException(
                "behind a multiplexing proxy or a local socket its id means nothing. Connect to the server itself over "
                + "TCP.");
        }

        if (!await TryAddAsync(connection, facts, isControl: false).ConfigureAwait(false))
            throw new SessionRegisterException("there is no such table. Apply the schema.");
    }

    /// <summary>The same for control connections, which are needed to make the table and to find out that no budget can
    /// be kept here: false when the table is missing, or the session's id is not its own.</summary>
    public Task<bool> TryAddControlAsync(MySqlConnection connection, SessionFacts facts) =>
        facts.IsProxied ? Task.FromResult(false) : TryAddAsync(connection, facts, isControl: true);

    /// <summary>Removes the rows of sessions that are gone, whoever's they were.</summary>
    public async Task RemoveAsync(MySqlConnection connection, IEnumerable<ServerSession> gone)
    {
        using var command = new MySqlCommand(connection, null) { CommandTimeout = 0 };
        List<string> keys = [];
        foreach (ServerSession session in gone)
        {
            // On the host too: the id may be another's by now.
            string name = string.Create(CultureInfo.InvariantCulture, $"@host{keys.Count}");
            command.Parameters.AddWithValue(name, session.Host);
            keys.Add(string.Create(CultureInfo.InvariantCulture, $"(ConnectionId = {session.Id} AND Host = {name})"));
        }

        command.CommandText = $"DELETE FROM {QualifiedTable} WHERE {string.Join(" OR ", keys)}";
        await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private async Task<bool> TryAddAsync(MySqlConnection connection, SessionFacts facts, bool isControl)
    {
        using var command = new MySqlCommand(_add, connection) { CommandTimeout = 0 };
        command.Parameters.AddWithValue("@id", facts.Session.Id);
        command.Parameters.AddWithValue("@host", facts.Session.Host);
        command.Parameters.AddWithValue("@account", AccountOf(connection));
        command.Parameters.AddWithValue("@incarnation", Incarnation);
        command.Parameters.AddWithValue("@control", isControl);
        try
        {
            await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            return true;
        }
        catch (MySqlException exception) when (exception.ErrorCode == MySqlErrorCode.NoSuchTable)
        {
            return false;
        }
        catch (MySqlException exception) when (exception.ErrorCode == MySqlErrorCode.BadFieldError)
        {
            throw new SessionRegisterException(
                "the table is of an older making. Drop it and apply the schema.", exception);
        }
        catch (MySqlException exception) when (exception.Number != 0)
        {
            throw new SessionRegisterException(
                $"error {exception.Number}. The account needs SELECT, INSERT and DELETE on that table.", exception);
        }
    }

    private static string AccountOf(MySqlConnection connection) =>
        new MySqlConnectionStringBuilder(connection.ConnectionString).UserID;

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or ':' or '@' or '-' or '_';
}

/// <summary>A session could not register itself. Not the driver's exception, because only here is it known what was
/// tried.</summary>
internal sealed class SessionRegisterException(string why, Exception? inner = null) : Exception(why, inner);
