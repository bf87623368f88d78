using System.Globalization;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>A session of the kill lane's own: one look at the process list, then one KILL for each that may be
/// there.</summary>
internal sealed class ControlSession
{
    // A batch's statement stays short.
    private const int MaxBatch = 256;

    private readonly MySqlConnection _connection;
    private readonly SessionRegister? _register;
    private SessionFacts _facts;
    private bool _isRegistered;
    private bool _wasWritable;

    private ControlSession(MySqlConnection connection, SessionFacts facts, SessionRegister? register)
    {
        _connection = connection;
        _facts = facts;
        _register = register;
    }

    /// <summary>Who it is on the server; null where ids are another's.</summary>
    public ServerSession? Session => _facts.IsProxied ? null : _facts.Session;

    /// <summary>What it was when it was new.</summary>
    public SessionFacts Facts => _facts;

    /// <summary>The server that it is with; without a name where that says nothing.</summary>
    public ServerIdentity Server => _facts.IsProxied ? default : _facts.Session.Server;

    /// <summary>Whether the server has become read-only since the session was opened: it may have been replaced, and
    /// the address lead to another one, or soon.</summary>
    public bool HasBecomeReadOnly { get; private set; }

    /// <summary>The server's word that this account may not end a session that was asked about; null when it said none
    /// since the question before.</summary>
    public MySqlException? Denial { get; set; }

    public static async Task<ControlSession> OpenAsync(SessionSource source, SessionRegister? register)
    {
        MySqlConnection connection = source.CreateConnection();
        try
        {
            await source.OpenAsync(connection).ConfigureAwait(false);
            SessionFacts facts = await SessionFacts.ReadAsync(connection).ConfigureAwait(false);
            var session = new ControlSession(connection, facts, register);
            await session.RegisterAsync().ConfigureAwait(false);
            return session;
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
        // Before the table was made there was nowhere to register.
        await RegisterAsync().ConfigureAwait(false);
        foreach (KillQuestion[] batch in questions.Chunk(MaxBatch))
        {
            Dictionary<long, string> hosts = await LookAsync(batch).ConfigureAwait(false);
            List<ServerSession> gone = [];
            foreach (KillQuestion question in batch)
            {
                try
                {
                    if (await EndAsync(question, hosts).ConfigureAwait(false) && question.UntilGone) continue;
                }
                catch (MySqlException exception) when (exception.ErrorCode == MySqlErrors.NotOwner)
                {
                    // It is there. Whoever asked goes on asking, and holds up nobody else.
                    Denial = exception;
                    if (question.UntilGone) continue;
                }

                if (!answer(question)) return;
                if (question.UntilGone) gone.Add(question.Session);
            }

            // Behind the answers, so that no permit waits for it.
            if (gone.Count > 0) await RemoveRowsAsync(gone).ConfigureAwait(false);
        }
    }

    /// <summary>Looks whether the server has become read-only.</summary>
    public async Task WatchAsync()
    {
        using var command = new MySqlCommand("SELECT @@GLOBAL.read_only", _connection) { CommandTimeout = 0 };
        object? value = await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false);
        bool isReadOnly = Convert.ToInt64(value, CultureInfo.InvariantCulture) != 0;
        _wasWritable |= !isReadOnly;
        HasBecomeReadOnly = isReadOnly && _wasWritable;
    }

    /// <summary>Takes the session out of the register, before it is closed.</summary>
    public Task UnregisterAsync() => RemoveRowsAsync([_facts.Session]);

    /// <summary>Lets go of the driver's connection, whatever the driver makes of that.</summary>
    public async Task CloseAsync(TimeSpan timeout, TimeProvider clock) =>
        await _connection.DisposeAsync().AsTask().EndsWithinAsync(timeout, clock).ConfigureAwait(false);

    private async Task<Dictionary<long, string>> LookAsync(KillQuestion[] questions)
    {
        string ids =
            string.Join(',', questions.Select(q => q.Session.Id.ToString(CultureInfo.InvariantCulture)).Distinct());
        using var command = new MySqlCommand(
            $"SELECT ID, HOST FROM {_facts.Family.ProcessList} WHERE ID IN ({ids})", _connection);

        // Left pending on a server that does not answer: it is the probe.
        command.CommandTimeout = 0;
        var hosts = new Dictionary<long, string>();
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            hosts[reader.GetInt64(0)] = reader.IsDBNull(1) ? "" : reader.GetString(1);
        return hosts;
    }

    /// <summary>Ends one statement or session; false when it is gone.</summary>
    private async Task<bool> EndAsync(KillQuestion question, Dictionary<long, string> hosts)
    {
        bool isListed = hosts.TryGetValue(question.Session.Id, out string? host);
        if (isListed && question.Session.Host.Length == 0) return true;

        bool isAnothers = isListed && host != question.Session.Host;

        // The id with another host is another's session, after a restart of the server: never kill that. The look and
        // the kill go over one connection, so the server cannot have restarted between them. A session that is not
        // listed may be one that this account cannot see, or one that the server still counts although its socket is
        // closed: only the answer to the KILL says that it is gone, and on MySQL not that alone (INV-1).
        bool asks = question.UntilGone ? !isAnothers : isListed && !isAnothers;
        return asks && (await KillAsync(question).ConfigureAwait(false) || !_facts.Family.IsGone(isListed));
    }

    private async Task RegisterAsync()
    {
        if (_register is null || _isRegistered) return;

        try
        {
            string? witness = await _register.TryAddControlAsync(_connection, _facts).ConfigureAwait(false);
            _isRegistered = witness is not null;
            _facts = _facts.With(witness);
        }
        catch (SessionRegisterException)
        {
            // Those that need it fail by themselves, and their sessions have to be confirmed gone all the same. This
            // one counts as a stranger until it is registered.
        }
    }

    private async Task RemoveRowsAsync(List<ServerSession> gone)
    {
        if (_register is null) return;

        try
        {
            await _register.RemoveAsync(_connection, gone, _facts.Session.Server.Name).ConfigureAwait(false);
        }
        catch (MySqlException exception) when (MySqlErrors.Classify(exception) != DriverFailure.Connection)
        {
            // The next look at the register removes what is left there.
        }
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
