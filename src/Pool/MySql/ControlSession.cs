using System.Globalization;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>A session of the kill lane's own: one look at the process list, then one KILL for each that is
/// there.</summary>
internal sealed class ControlSession
{
    // A batch's statement stays short.
    private const int MaxBatch = 256;

    private readonly MySqlConnection _connection;
    private readonly SessionFacts _facts;

    private ControlSession(MySqlConnection connection, SessionFacts facts)
    {
        _connection = connection;
        _facts = facts;
    }

    /// <summary>Who it is on the server; null where ids are another's.</summary>
    public ServerSession? Session => _facts.IsProxied ? null : _facts.Session;

    public static async Task<ControlSession> OpenAsync(MySqlDataSource dataSource)
    {
        MySqlConnection connection = dataSource.CreateConnection();
        try
        {
            // The driver never sees a token: its cancellation blocks, and opens a session that no permit covers.
            await connection.OpenAsync(CancellationToken.None).ConfigureAwait(false);
            return new ControlSession(connection, await SessionFacts.ReadAsync(connection).ConfigureAwait(false));
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Asks the server once; what is still ending afterwards stays unanswered, to be asked again.</summary>
    /// <param name="questions">None twice.</param>
    /// <param name="answer">Called for each that is settled; says whether to go on.</param>
    public async Task AskAsync(IEnumerable<KillQuestion> questions, Func<KillQuestion, bool> answer)
    {
        foreach (KillQuestion[] batch in questions.Chunk(MaxBatch))
        {
            Dictionary<long, string> hosts = await LookAsync(batch).ConfigureAwait(false);
            foreach (KillQuestion question in batch)
            {
                // The id with another host is another's session, after a restart of the server: never kill that. The
                // look and the kill go over one connection, so the server cannot have restarted between them.
                bool isThere =
                    hosts.TryGetValue(question.Session.Id, out string? host) && host == question.Session.Host;
                if (isThere && await KillAsync(question).ConfigureAwait(false) && question.UntilGone) continue;
                if (!answer(question)) return;
            }
        }
    }

    /// <summary>Lets go of the driver's connection, whatever the driver makes of that.</summary>
    public async Task CloseAsync(TimeSpan timeout, TimeProvider clock) =>
        await _connection.DisposeAsync().AsTask().EndsWithinAsync(timeout, clock).ConfigureAwait(false);

    private async Task<Dictionary<long, string>> LookAsync(KillQuestion[] questions)
    {
        string ids =
            string.Join(',', questions.Select(q => q.Session.Id.ToString(CultureInfo.InvariantCulture)).Distinct());
        using var command = new MySqlCommand(
            $"SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE ID IN ({ids})", _connection);

        // Left pending on a server that does not answer: it is the probe.
        command.CommandTimeout = 0;
        var hosts = new Dictionary<long, string>();
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            hosts[reader.GetInt64(0)] = reader.IsDBNull(1) ? "" : reader.GetString(1);
        return hosts;
    }

    /// <summary>Sends one KILL; false when the server does not know the session any more.</summary>
    private async Task<bool> KillAsync(KillQuestion question)
    {
        string what = question.UntilGone ? "CONNECTION" : "QUERY";
        using var command = new MySqlCommand(
            string.Create(CultureInfo.InvariantCulture, $"KILL {what} {question.Session.Id}"), _connection);
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
}
