using System.Globalization;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>A session of the kill lane: reads the process list once, then sends a KILL for each session that may still
/// exist.</summary>
internal sealed class ControlSession
{
    // Keeps the statement of a batch short.
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

    /// <summary>Its identity on the server; null if its id may be another session's.</summary>
    public ServerSession? Session => _facts.IsProxied ? null : _facts.Session;

    /// <summary>The facts about it when it was new.</summary>
    public SessionFacts Facts => _facts;

    /// <summary>The server that it is with; without a name if that identifies nothing.</summary>
    public ServerIdentity Server => _facts.IsProxied ? default : _facts.Session.Server;

    /// <summary>Whether the server has become read-only since the session was opened: it may have been replaced, and
    /// the address may lead to another server now or soon.</summary>
    public bool HasBecomeReadOnly { get; private set; }

    /// <summary>The server's refusal to let this account end a session; null if there was none since it was last
    /// read.</summary>
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

    /// <summary>Asks the server once. The question about a session that is still ending stays open, to be asked
    /// again.</summary>
    /// <param name="questions">The questions, without duplicates.</param>
    /// <param name="answer">Called for each settled question; returns whether to go on.</param>
    public async Task AskAsync(IEnumerable<KillQuestion> questions, Func<KillQuestion, bool> answer)
    {
        // Registering was not possible before the table existed.
        await RegisterAsync().ConfigureAwait(false);
        foreach (KillQuestion[] batch in questions.Chunk(MaxBatch))
        {
            Dictionary<long, string> hosts = await SessionEnd
                .FindHostsAsync(_connection, _facts.Family, batch.Select(static question => question.Session))
                .ConfigureAwait(false);
            List<ServerSession> gone = [];
            foreach (KillQuestion question in batch)
            {
                try
                {
                    bool isThere = await SessionEnd
                        .KillAsync(_connection, _facts.Family, question.Session, question.UntilGone, hosts)
                        .ConfigureAwait(false);
                    if (isThere && question.UntilGone) continue;
                }
                catch (MySqlException exception) when (exception.ErrorCode == MySqlErrors.NotOwner)
                {
                    // The session still exists. The question stays open, and delays no other.
                    Denial = exception;
                    if (question.UntilGone) continue;
                }

                if (!answer(question)) return;
                if (question.UntilGone) gone.Add(question.Session);
            }

            // After the answers, so that no permit waits for it.
            if (gone.Count > 0) await RemoveRowsAsync(gone).ConfigureAwait(false);
        }
    }

    /// <summary>Checks whether the server has become read-only.</summary>
    public async Task WatchAsync()
    {
        using var command = new MySqlCommand("SELECT @@GLOBAL.read_only", _connection) { CommandTimeout = 0 };
        object? value = await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false);
        bool isReadOnly = Convert.ToInt64(value, CultureInfo.InvariantCulture) != 0;
        _wasWritable |= !isReadOnly;
        HasBecomeReadOnly = isReadOnly && _wasWritable;
    }

    /// <summary>Removes the session from the register, before it is closed.</summary>
    public Task UnregisterAsync() => RemoveRowsAsync([_facts.Session]);

    /// <summary>Closes the driver's connection; errors of the driver and a close that takes too long are
    /// ignored.</summary>
    public async Task CloseAsync(TimeSpan timeout, TimeProvider clock) =>
        await _connection.DisposeAsync().AsTask().EndsWithinAsync(timeout, clock).ConfigureAwait(false);

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
            // Sessions that need the register fail at their own registration, and must still be confirmed gone. This
            // session counts as unregistered until it can register.
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
            // The next look at the register removes the rows left there.
        }
    }
}
