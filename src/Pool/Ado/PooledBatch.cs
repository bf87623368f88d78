using System.Data;
using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>Several statements in one round trip on a rented connection. Its commands are the driver's own.</summary>
public sealed class PooledBatch : DbBatch, IStatement
{
    private readonly IConnector _connector;
    private readonly DbBatch _own;
    private StatementScope _scope;
    private DbBatch? _running;
    private OutputValues? _outputs;
    private bool _isDisposed;

    internal PooledBatch(PooledConnection? connection, IConnector connector)
    {
        _scope = new StatementScope(connection, "batch");
        _connector = connector;
        _own = connector.CreateBatch()
            ?? throw new NotSupportedException("This database's driver has no batches.");
    }

    /// <summary>
    /// Seconds until the batch is cut off with a <see cref="DeadlineExceededException"/>; the connection's deadline may
    /// come earlier. Default <see cref="PoolOptions.StatementTimeout"/>; 0 for none but the connection's.
    /// </summary>
    public override int Timeout
    {
        get => _scope.Timeout;
        set => _scope.Timeout = value;
    }

    /// <inheritdoc/>
    protected override DbBatchCommandCollection DbBatchCommands => _own.BatchCommands;

    /// <inheritdoc/>
    protected override DbConnection? DbConnection
    {
        get => _scope.Connection;
        set => _scope.Connection = value;
    }

    /// <inheritdoc/>
    protected override DbTransaction? DbTransaction
    {
        get => _scope.Transaction;
        set => _scope.Transaction = value;
    }

    /// <inheritdoc/>
    public override Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken = default) => Execution.RunAsync(
        this, static (statement, _) => statement._running!.ExecuteNonQueryAsync(CancellationToken.None),
        cancellationToken);

    /// <inheritdoc/>
    public override Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken = default) =>
        Execution.RunAsync(
            this, static (statement, _) => statement._running!.ExecuteScalarAsync(CancellationToken.None),
            cancellationToken);

    /// <inheritdoc/>
    protected override Task<DbDataReader> ExecuteDbDataReaderAsync(
        CommandBehavior behavior, CancellationToken cancellationToken) => Execution.ReadAsync(
            this, behavior,
            static (statement, asked) => statement._running!.ExecuteReaderAsync(asked, CancellationToken.None),
            cancellationToken);

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

    /// <summary>Checks that there is an open connection, and prepares nothing: a prepared handle would not outlive the
    /// rent.</summary>
    /// <exception cref="InvalidOperationException">There is no open connection.</exception>
    public override void Prepare() => _ = _scope.Required.Physical;

    /// <inheritdoc cref="Prepare"/>
    public override Task PrepareAsync(CancellationToken cancellationToken = default) =>
        StatementScope.TryAsync(Prepare, cancellationToken);

    /// <summary>Cuts the batch in flight off from its caller and ends it on the server. Does not wait.</summary>
    public override void Cancel() => _scope.Cancel();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _isDisposed = true;
        _own.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override DbBatchCommand CreateDbBatchCommand() => _own.CreateBatchCommand();

    StatementScope IStatement.Scope => _scope;

    int IStatement.TextCount => _own.BatchCommands.Count;

    bool IStatement.IsProcedure =>
        _own.BatchCommands.Any(static command => command.CommandType == CommandType.StoredProcedure);

    string IStatement.TextAt(int index) => _own.BatchCommands[index].CommandText;

    long IStatement.Size() => _own.BatchCommands.Sum(
        static command => (long)command.CommandText.Length + Script.SizeOf(command.Parameters));

    object? IStatement.Running => _running;

    bool IStatement.IsFixedSelect(CommandBehavior behavior) => false;

    OperationBound IStatement.Bind(OperationBound bound)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);

        // Always a copy: the driver may send some commands, and read their parameters, only after it has read the
        // results before them, possibly behind a closed reader.
        DbBatch running = _connector.CopyBatch(_own);
        _outputs = new OutputValues();
        for (int i = 0; i < running.BatchCommands.Count; i++)
            _outputs.Add(_own.BatchCommands[i].Parameters, running.BatchCommands[i].Parameters);

        _running = running;
        running.Connection = bound.Physical.Inner;
        running.Transaction = _scope.InnerTransaction(bound);
        running.Timeout = _scope.DriverTimeout(bound);
        return StatementTrace.IsOn
            ? bound with { Span = StatementTrace.Start(_scope.Required.Pool, bound.Physical.Inner, Text()) }
            : bound;
    }

    void IStatement.Advance(object? running)
    {
        if (ReferenceEquals(running, _running)) _outputs?.CarryOver();
    }

    void IStatement.End(object? running)
    {
    }

    void IStatement.Open(PooledDataReader reader)
    {
    }

    private string Text() =>
        string.Join("; ", _own.BatchCommands.Cast<DbBatchCommand>().Select(static command => command.CommandText));
}
