using System.Data;
using System.Data.Common;

using Microsoft.Extensions.Logging;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>Opens sessions with MySQL and MariaDB for a pool.</summary>
internal sealed class MySqlServerConnector : IConnector
{
    private readonly KillLane _killLane;
    private readonly ILoggerFactory? _loggers;
    private readonly TablesWithoutTransactions _tables;
    private volatile SessionSource _source;

    public MySqlServerConnector(
        MySqlConnectionStringBuilder settings, KillLane killLane, ILoggerFactory? loggers)
    {
        _killLane = killLane;
        _loggers = loggers;
        _tables = new TablesWithoutTransactions(killLane.Clock);
        Target = MySqlSettings.Describe(settings);
        ConnectionString = MySqlSettings.WithoutCredentials(settings);
        DataSource = settings.Server;
        Database = settings.Database;
        _source = Source(settings);
    }

    /// <summary>The register that each session enters before its first use; null without a budget.</summary>
    public SessionRegister? Register { get; init; }

    /// <summary>Whether these are control connections. They may be used while the register's table is missing, because
    /// they have to create it; they register at the first reset that finds the table.</summary>
    public bool IsControl { get; init; }

    /// <summary>The pool's settings, which complete a changed connection string.</summary>
    public required PoolOptions Options { get; init; }

    /// <summary>Receives the account of a changed connection string before its first session.</summary>
    public Action<string>? KnowAccount { get; init; }

    public SqlDialect Dialect => SqlDialect.MySql;

    public string Target { get; }

    public string ConnectionString { get; private set; }

    public string DataSource { get; }

    public string Database { get; }

    public DbProviderFactory DriverFactory => MySqlConnectorFactory.Instance;

    public string? Problem => _killLane.Problem;

    public event Action? ProblemFound
    {
        add => _killLane.ProblemFound += value;
        remove => _killLane.ProblemFound -= value;
    }

    public event Action? ServerChanged
    {
        add => _killLane.Server.Changed += value;
        remove => _killLane.Server.Changed -= value;
    }

    public Task<PhysicalConnection> OpenAsync() => OpenAsync(_source);

    public ICandidate Prepare(string connectionString)
    {
        MySqlConnectionStringBuilder settings = MySqlSettings.Derive(connectionString, Options);
        MySqlSettings.ThrowIfElsewhere(settings, Target);
        KnowAccount?.Invoke(settings.UserID);

        // The caller may know that the server accepts these credentials by now.
        _killLane.SignIns.AllowTry(new SignIn(settings.UserID, settings.Password));
        return new Candidate(this, settings);
    }

    public DbCommand CreateCommand() => new MySqlCommand();

    public DbBatch CreateBatch() => new MySqlBatch();

    public DbCommand CopyCommand(DbCommand command) => ((MySqlCommand)command).Clone();

    public DbBatch CopyBatch(DbBatch batch)
    {
        var copy = new MySqlBatch();
        foreach (MySqlBatchCommand command in ((MySqlBatch)batch).BatchCommands)
        {
            var copied = new MySqlBatchCommand(command.CommandText) { CommandType = command.CommandType };
            foreach (MySqlParameter parameter in command.Parameters) copied.Parameters.Add(parameter.Clone());
            copy.BatchCommands.Add(copied);
        }

        return copy;
    }

    public void ApplyColumnType(DbParameter parameter, DataRow column) =>
        ((MySqlParameter)parameter).MySqlDbType = (MySqlDbType)column[SchemaTableColumn.ProviderType];

    public long LastInsertedId(DbCommand command) => ((MySqlCommand)command).LastInsertedId;

    public DriverFailure Classify(Exception exception) => MySqlErrors.Classify(exception);

    public bool IsCommitRefused(Exception exception) => MySqlErrors.IsCommitRefused(exception);

    public bool MayMeetAnyStatement(Exception exception) => MySqlErrors.MayMeetAnyStatement(exception);

    public string Explain(Exception exception) => MySqlErrors.Explain(exception, Target);

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    private SessionSource Source(MySqlConnectionStringBuilder settings) =>
        new(settings, _loggers, _killLane.SignIns);

    private async Task<PhysicalConnection> OpenAsync(SessionSource source)
    {
        MySqlConnection inner = source.CreateConnection();
        SessionFacts? facts = null;
        long open = _killLane.Server.BeginOpen();
        try
        {
            await source.OpenAsync(inner).ConfigureAwait(false);
            facts = await SessionFacts.ReadAsync(inner).ConfigureAwait(false);

            // A new session starts in the state that a reset restores.
            if (facts.AsNew is null)
            {
                using var restore = new MySqlCommand(facts.Restore, inner) { CommandTimeout = 0 };
                await restore.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            }

            string? witness = Register is null ? null : await RegisterAsync(inner, facts).ConfigureAwait(false);
            facts = facts.With(witness);
            bool isLate = Register is not null && witness is null;
            return new MySqlPhysicalConnection(inner, facts, _killLane, _tables)
            {
                ToRegister = isLate ? Register : null,

                // A later open has found another server: this session is of no use any more.
                MustDiscard = !_killLane.Server.Note(open, facts),
            };
        }
        catch
        {
            await CloseFailedAsync(inner, facts).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Closes a session that failed after its handshake. It counts on the server like any other: the open has failed,
    /// and its permit is free, only when the server has dropped it (INV-1).
    /// </summary>
    private async Task CloseFailedAsync(MySqlConnection inner, SessionFacts? facts)
    {
        // Without the facts only the id is known, and only while the session lives; a lost one went with its socket.
        ServerSession? session = facts is not null ? (facts.IsProxied ? null : facts.Session)
            : inner.State == ConnectionState.Open ? new ServerSession(unchecked((uint)inner.ServerThread), "")
            : null;
        Task closing = MySqlPhysicalConnection.CloseDriverAsync(inner, _killLane.Clock);
        try
        {
            await (session is { } known ? _killLane.WaitUntilGoneAsync(known) : closing).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The lane has ended and cannot ask; the process ends.
        }
    }

    private Task<string?> RegisterAsync(MySqlConnection inner, SessionFacts facts) => IsControl
        ? Register!.TryAddControlAsync(inner, facts)
        : Register!.AddAsync(inner, facts);

    // The former data source is left to the garbage collector: without a pool of its own it holds nothing, and an open
    // over it may be under way.
    private sealed class Candidate(MySqlServerConnector connector, MySqlConnectionStringBuilder settings) : ICandidate
    {
        private readonly SessionSource _changed = connector.Source(settings);

        public Task<PhysicalConnection> OpenAsync() => connector.OpenAsync(_changed);

        public void Adopt()
        {
            connector._source = _changed;
            connector.ConnectionString = MySqlSettings.WithoutCredentials(settings);
        }
    }
}
