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

    /// <summary>The server's refusal to let this account end a session that was asked about; null when there was none
    /// since the previous question.</summary>
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
                    // It is there. The question stays open, and holds up no other one.
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
}
