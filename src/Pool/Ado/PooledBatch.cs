using System.Data;
using System.Data.Common;

namespace UPool;

/// <summary>Several statements in one round trip on a rented connection. Its commands are the driver's own.</summary>
public sealed class PooledBatch : DbBatch
{
    private readonly DbBatch _inner;
    private PooledConnection? _connection;
    private PooledTransaction? _transaction;
    private int? _timeout;

    internal PooledBatch(PooledConnection connection, DbBatch inner)
    {
        _connection = connection;
        _inner = inner;
    }

    /// <summary>
    /// Seconds until the batch is cut off with a <see cref="DeadlineExceededException"/>; the connection's deadline may
    /// come earlier. Default <see cref="PoolOptions.StatementTimeout"/>; 0 for none but the connection's.
    /// </summary>
    public override int Timeout
    {
        get => _timeout
            ?? (int)Math.Ceiling((_connection?.Pool.Options.StatementTimeout ?? TimeSpan.FromSeconds(30)).TotalSeconds);
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _timeout = value;
        }
    }

    /// <inheritdoc/>
    protected override DbBatchCommandCollection DbBatchCommands => _inner.BatchCommands;

    /// <inheritdoc/>
    protected override DbConnection? DbConnection
    {
        get => _connection;
        set => _connection = value is null or PooledConnection
            ? (PooledConnection?)value
            : throw new InvalidCastException("A batch of the pool takes a connection of the pool.");
    }

    /// <inheritdoc/>
    protected override DbTransaction? DbTransaction
    {
        get => _transaction;
        set => _transaction = value is null or PooledTransaction
            ? (PooledTransaction?)value
            : throw new InvalidCastException("A batch of the pool takes a transaction of the pool.");
    }

    private PooledConnection RequiredConnection =>
        _connection ?? throw new InvalidOperationException("The batch has no connection.");

    /// <inheritdoc/>
    public override async Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken = default)
    {
        PooledConnection connection = RequiredConnection;
        OperationBound bound = await BeginAsync(connection, cancellationToken).ConfigureAwait(false);
        return await connection
            .RunAsync(_inner.ExecuteNonQueryAsync(CancellationToken.None), bound, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken = default)
    {
        PooledConnection connection = RequiredConnection;
        OperationBound bound = await BeginAsync(connection, cancellationToken).ConfigureAwait(false);
        return await connection
            .RunAsync(_inner.ExecuteScalarAsync(CancellationToken.None), bound, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override async Task<DbDataReader> ExecuteDbDataReaderAsync(
        CommandBehavior behavior, CancellationToken cancellationToken)
    {
        PooledConnection connection = RequiredConnection;
        OperationBound bound = await BeginAsync(connection, cancellationToken).ConfigureAwait(false);
        DbDataReader reader = await connection
            .RunAsync(
                _inner.ExecuteReaderAsync(behavior & ~CommandBehavior.CloseConnection, CancellationToken.None),
                bound, cancellationToken)
            .ConfigureAwait(false);
        return new PooledDataReader(connection, bound, reader, behavior.HasFlag(CommandBehavior.CloseConnection));
    }

    /// <inheritdoc/>
    public override int ExecuteNonQuery()
    {
        RequiredConnection.ThrowUnlessSynchronous("ExecuteNonQueryAsync");
        return ExecuteNonQueryAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override object? ExecuteScalar()
    {
        RequiredConnection.ThrowUnlessSynchronous("ExecuteScalarAsync");
        return ExecuteScalarAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior)
    {
        RequiredConnection.ThrowUnlessSynchronous("ExecuteReaderAsync");
        return ExecuteDbDataReaderAsync(behavior, CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <summary>Nothing: a prepared handle would not outlive the rent.</summary>
    public override void Prepare()
    {
    }

    /// <inheritdoc cref="Prepare"/>
    public override Task PrepareAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    /// <summary>Cuts the batch in flight off from its caller and ends it on the server. Does not wait.</summary>
    public override void Cancel() => _connection?.Cancel();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _inner.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override DbBatchCommand CreateDbBatchCommand() => _inner.CreateBatchCommand();

    private async ValueTask<OperationBound> BeginAsync(PooledConnection connection, CancellationToken token)
    {
        OperationBound bound = await connection.BeginAsync(PooledCommand.Bound(Timeout), token).ConfigureAwait(false);
        _inner.Connection = bound.Physical.Inner;
        _inner.Transaction = _transaction?.InnerOf(connection) ?? bound.Physical.Transaction;
        _inner.Timeout = PooledCommand.DriverTimeout(connection.Pool, bound.Deadline);
        return bound;
    }
}
