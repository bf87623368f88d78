using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool;

/// <summary>A command on a rented connection. Its parameters are the driver's own.</summary>
public sealed class PooledCommand : DbCommand, IStatement
{
    // Other behaviors make the driver set session variables around the statement.
    private const CommandBehavior HarmlessBehavior =
        CommandBehavior.SingleResult | CommandBehavior.SequentialAccess | CommandBehavior.CloseConnection;

    private readonly IConnector _connector;

    // The driver's command with the caller's settings and parameters. It executes unless a copy has to.
    private readonly DbCommand _own;
    private StatementScope _scope;

    // Kept apart from the driver's command, whose text cannot change while the driver reads on behind a closed reader.
    private string _text;

    // The last execution, and whether the driver may still hold the caller's own command.
    private DbCommand? _running;
    private OutputValues? _outputs;
    private PooledDataReader? _reader;
    private bool _isHeld;
    private bool _isDisposed;
    private long _lastInsertedId;

    internal PooledCommand(PooledConnection? connection, IConnector connector)
    {
        _scope = new StatementScope(connection, "command");
        _connector = connector;
        _own = connector.CreateCommand();
        _text = _own.CommandText;
    }

    /// <summary>The statement.</summary>
    /// <exception cref="InvalidOperationException">Set while the command's reader is open.</exception>
    [AllowNull]
    public override string CommandText
    {
        get => _text;
        set
        {
            ThrowIfReading();
            _text = value ?? "";
        }
    }

    /// <summary>
    /// Seconds until the statement is cut off with a <see cref="DeadlineExceededException"/>; the connection's deadline
    /// may come earlier. Default <see cref="PoolOptions.StatementTimeout"/>; 0 for none but the connection's.
    /// </summary>
    public override int CommandTimeout
    {
        get => _scope.Timeout;
        set => _scope.Timeout = value;
    }

    /// <inheritdoc/>
    public override CommandType CommandType
    {
        get => _own.CommandType;
        set => _own.CommandType = value;
    }

    /// <inheritdoc/>
    public override bool DesignTimeVisible
    {
        get => _own.DesignTimeVisible;
        set => _own.DesignTimeVisible = value;
    }

    /// <inheritdoc/>
    public override UpdateRowSource UpdatedRowSource
    {
        get => _own.UpdatedRowSource;
        set => _own.UpdatedRowSource = value;
    }

    /// <inheritdoc/>
    protected override DbConnection? DbConnection
    {
        get => _scope.Connection;
        set
        {
            ThrowIfReading();
            _scope.Connection = value;
        }
    }

    /// <inheritdoc/>
    protected override DbParameterCollection DbParameterCollection => _own.Parameters;

    /// <inheritdoc/>
    protected override DbTransaction? DbTransaction
    {
        get => _scope.Transaction;
        set => _scope.Transaction = value;
    }

    /// <summary>
    /// The first id that AUTO_INCREMENT generated for the last execution of this command, as far as the server's answer
    /// has arrived; 0 if none. Over SQLite: the connection's last rowid.
    /// </summary>
    public long LastInsertedId => _lastInsertedId;

    /// <inheritdoc/>
    public override Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken) => Execution.RunAsync(
        this, static (statement, _) => statement._running!.ExecuteNonQueryAsync(CancellationToken.None),
        cancellationToken);

    /// <inheritdoc/>
    public override Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken) => Execution.RunAsync(
        this, static (statement, _) => statement._running!.ExecuteScalarAsync(CancellationToken.None),
        cancellationToken);

    /// <inheritdoc/>
    protected override Task<DbDataReader> ExecuteDbDataReaderAsync(
        CommandBehavior behavior, CancellationToken cancellationToken) => Execution.ReadAsync(
            this, behavior,
            static (statement, asked) => statement._running!.ExecuteReaderAsync(asked, CancellationToken.None),
            cancellationToken);

    /// <summary>
    /// Executes a query and reads all its rows as one operation: one claim and one wait, for any number of rows.
    /// </summary>
    /// <param name="read">Reads the rows and touches nothing else, because it may run on for a moment after its caller
    /// was cut off.</param>
    /// <param name="cancellationToken">The caller's token.</param>
    internal Task<T> ReadAllAsync<T>(Func<DbDataReader, Task<T>> read, CancellationToken cancellationToken) =>
        Execution.RunAsync(this, (statement, _) => statement.ReadAllAsync(read), cancellationToken);

    /// <inheritdoc/>
    public override int ExecuteNonQuery()
    {
        _scope.Required.ThrowUnlessSynchronous("ExecuteNonQueryAsync");
        return ExecuteNonQueryAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override object? ExecuteScalar()
    {
        _scope.Required.ThrowUnlessSynchronous("ExecuteScalarAsync");
        return ExecuteScalarAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior)
    {
        _scope.Required.ThrowUnlessSynchronous("ExecuteReaderAsync");
        return ExecuteDbDataReaderAsync(behavior, CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <summary>Checks that the command could be executed, and prepares nothing: a prepared handle would not outlive
    /// the rent, and the driver does not remove it from its cache.</summary>
    /// <exception cref="InvalidOperationException">The command has no text, or no open connection.</exception>
    public override void Prepare()
    {
        _ = _scope.Required.Physical;
        if (string.IsNullOrWhiteSpace(_text)) throw new InvalidOperationException("The command has no text.");
    }

    /// <inheritdoc cref="Prepare"/>
    public override Task PrepareAsync(CancellationToken cancellationToken = default) =>
        StatementScope.TryAsync(Prepare, cancellationToken);

    /// <summary>
    /// Cuts the statement in flight off from its caller and ends it on the server; the connection is severed. Does not
    /// wait. No effect if none is in flight.
    /// </summary>
    public override void Cancel() => _scope.Cancel();

    /// <inheritdoc/>
    protected override DbParameter CreateDbParameter() => _own.CreateParameter();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _isDisposed = true;
            _own.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task<T> ReadAllAsync<T>(Func<DbDataReader, Task<T>> read)
    {
        DbDataReader reader = await _running!.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            T result = await read(reader).ConfigureAwait(false);

            // The server may report an error after the rows.
            await reader.NextResultAsync(CancellationToken.None).ConfigureAwait(false);
            return result;
        }
    }

    private void ThrowIfReading()
    {
        if (_reader is { IsOpen: true })
        {
            throw new InvalidOperationException(
                "The command's text and connection cannot be changed while its reader is open; close that first.");
        }
    }

    StatementScope IStatement.Scope => _scope;

    int IStatement.TextCount => 1;

    bool IStatement.IsProcedure => _own.CommandType == CommandType.StoredProcedure;

    string IStatement.TextAt(int index) => _text;

    long IStatement.Size() => _text.Length + Script.SizeOf(_own.Parameters);

    object? IStatement.Running => _running;

    bool IStatement.IsFixedSelect(CommandBehavior behavior) =>
        _scope.Required.Physical.Select is { } select
        && _text == select.Text
        && _own.CommandType == CommandType.Text
        && (behavior & ~HarmlessBehavior) == 0

        // With fewer parameters, one of the names would be read as a variable.
        && (select.Parameters == 0 || _own.Parameters.Count == select.Parameters);

    OperationBound IStatement.Bind(OperationBound bound)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        DbCommand running = Choose();
        _running = running;
        _reader = null;
        running.CommandText = _text;
        running.Connection = bound.Physical.Inner;
        running.Transaction = _scope.InnerTransaction(bound);
        running.CommandTimeout = _scope.DriverTimeout(bound);
        return StatementTrace.IsOn
            ? bound with { Span = StatementTrace.Start(_scope.Required.Pool, bound.Physical.Inner, _text) }
            : bound;
    }

    void IStatement.Advance(object? running)
    {
        if (!ReferenceEquals(running, _running)) return;

        _outputs?.CarryOver();
        _lastInsertedId = _connector.LastInsertedId(_running!);
    }

    void IStatement.End(object? running)
    {
        if (ReferenceEquals(running, _own)) _isHeld = false;
    }

    void IStatement.Open(PooledDataReader reader) => _reader = reader;

    /// <summary>The caller's own command, or a copy if the driver may still hold that command or will write into its
    /// parameters.</summary>
    private DbCommand Choose()
    {
        _outputs = null;
        if (!_isHeld && _own.CommandType != CommandType.StoredProcedure)
        {
            // Held until the execution has ended successfully. One cut off by a deadline or a close ends in the
            // background, at an unknown time.
            _isHeld = true;
            return _own;
        }

        DbCommand copy = _connector.CopyCommand(_own);
        _outputs = new OutputValues();
        _outputs.Add(_own.Parameters, copy.Parameters);
        return copy;
    }
}
