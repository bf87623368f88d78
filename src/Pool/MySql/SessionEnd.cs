using System.Data.Common;
using System.Globalization;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// Ends sessions and their statements over another session of the same server: it reads the process list, then sends a
/// KILL. Both use one connection, so the server cannot have restarted in between and given the id to another session.
/// </summary>
/// <remarks>No statement has its own timeout: on a server that does not answer, the statement is the probe.</remarks>
internal static class SessionEnd
{
    /// <summary>The host and port of each session's id in the process list; ids that are not listed are left
    /// out.</summary>
    public static async Task<Dictionary<long, string>> FindHostsAsync(
        DbConnection connection, DatabaseFamily family, IEnumerable<ServerSession> sessions)
    {
        string ids = string.Join(',', sessions.Select(static session => Format(session.Id)).Distinct());
        using DbCommand command = connection.CreateCommand();
        command.CommandText = $"SELECT ID, HOST FROM {family.ProcessList} WHERE ID IN ({ids})";
        command.CommandTimeout = 0;
        var hosts = new Dictionary<long, string>();
        using DbDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            hosts[reader.GetInt64(0)] = reader.IsDBNull(1) ? "" : reader.GetString(1);
        return hosts;
    }

    /// <summary>Sends a KILL if the session may still exist.</summary>
    /// <param name="connection">A session of the same server.</param>
    /// <param name="family">The server's family.</param>
    /// <param name="session">The session to end.</param>
    /// <param name="wholeSession">Whether to end the session, not only its statement.</param>
    /// <param name="hosts">From <see cref="FindHostsAsync"/>, over the same connection.</param>
    /// <returns>False if the session is gone.</returns>
    /// <exception cref="MySqlException">The account may not end the session, or the connection failed.</exception>
    public static async Task<bool> KillAsync(
        DbConnection connection, DatabaseFamily family, ServerSession session, bool wholeSession,
        Dictionary<long, string> hosts)
    {
        bool isListed = hosts.TryGetValue(session.Id, out string? host);
        if (isListed && session.Host.Length == 0) return true;

        // The id with another host belongs to another session, after a restart of the server: never kill that one. A
        // session that is not listed may be hidden from this account, or still counted by the server although its
        // socket is closed. Only the answer to the KILL proves that it is gone, and on MySQL not even that alone
        // (INV-1).
        bool isAnother = isListed && host != session.Host;
        if (isAnother || (!wholeSession && !isListed)) return false;

        return await SendAsync(connection, session, wholeSession).ConfigureAwait(false) || !family.IsGone(isListed);
    }

    /// <returns>False if the server has no such session.</returns>
    private static async Task<bool> SendAsync(DbConnection connection, ServerSession session, bool wholeSession)
    {
        using DbCommand command = connection.CreateCommand();
        command.CommandText = $"KILL {(wholeSession ? "CONNECTION" : "QUERY")} {Format(session.Id)}";
        command.CommandTimeout = 0;
        try
        {
            await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            return true;
        }
        catch (MySqlException exception) when (exception.ErrorCode == MySqlErrors.NoSuchThread)
        {
            return false;
        }
    }

    private static string Format(long id) => id.ToString(CultureInfo.InvariantCulture);
}
