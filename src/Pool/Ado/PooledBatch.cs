using System.Data;
using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>Several statements in one round trip on a rented connection. Its commands are the driver's own.</summary>
public sealed class PooledBatch : DbBatch, IStatement
{
    private readonly DbBatch _inner;
    private StatementScope _scope;

    internal PooledBatch(PooledConnection connection, DbBatch inner)
    {
        _scope = new StatementScope(connection, "batch");
        _inner = inner;
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
    protected override DbBatchCommandCollection DbBatchCommands => _inner.BatchCommands;

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
        this, static (statement, _) => statement._inner.ExecuteNonQueryAsync(CancellationToken.None),
        cancellationToken);

    /// <inheritdoc/>
    public override Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken = default) =>
        Execution.RunAsync(
            this, static (statement, _) => statement._inner.ExecuteScalarAsync(CancellationToken.None),
            cancellationToken);

    /// <inheritdoc/>
    protected override Task<DbDataReader> ExecuteDbDataReaderAsync(
        CommandBehavior behavior, CancellationToken cancellationToken) => Execution.ReadAsync(
            this, behavior,
            static (statement, asked) => statement._inner.ExecuteReaderAsync(asked, CancellationToken.None),
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

    /// <summary>Nothing: a prepared handle would not outlive the rent.</summary>
    public override void Prepare()
    {
    }

    /// <inheritdoc cref="Prepare"/>
    public override Task PrepareAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    /// <summary>Cuts the batch in flight off from its caller and ends it on the server. Does not wait.</summary>
    public override void Cancel() => _scope.Cancel();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _inner.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override DbBatchCommand CreateDbBatchCommand() => _inner.CreateBatchCommand();

    StatementScope IStatement.Scope => _scope;

    ScriptKind IStatement.Kind => ScriptKind.Several;

    bool IStatement.IsFixedSelect(CommandBehavior behavior) => false;

    OperationBound IStatement.Bind(OperationBound bound)
    {
        _inner.Connection = bound.Physical.Inner;
        _inner.Transaction = _scope.InnerTransaction(bound);
        _inner.Timeout = _scope.DriverTimeout(bound);
        return StatementTrace.IsOn
            ? bound with { Span = StatementTrace.Start(_scope.Required.Pool, bound.Physical.Inner, Text()) }
            : bound;
    }

    private string Text() =>
        string.Join("; ", _inner.BatchCommands.Cast<DbBatchCommand>().Select(static command => command.CommandText));
}
