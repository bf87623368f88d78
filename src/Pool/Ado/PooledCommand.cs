using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool;

/// <summary>A command on a rented connection. Its parameters are the driver's own.</summary>
public sealed class PooledCommand : DbCommand
{
    private readonly DbCommand _inner;
    private PooledConnection? _connection;
    private PooledTransaction? _transaction;
    private int? _commandTimeout;

    internal PooledCommand(PooledConnection connection, DbCommand inner)
    {
        _connection = connection;
        _inner = inner;
    }

    /// <inheritdoc/>
    [AllowNull]
    public override string CommandText
    {
        get => _inner.CommandText;
        set => _inner.CommandText = value;
    }

    /// <summary>
    /// Seconds until the statement is cut off with a <see cref="DeadlineExceededException"/>; the connection's deadline
    /// may come earlier. Default <see cref="PoolOptions.StatementTimeout"/>; 0 for none but the connection's.
    /// </summary>
    public override int CommandTimeout
    {
        get => _commandTimeout
            ?? (int)Math.Ceiling((_connection?.Pool.Options.StatementTimeout ?? TimeSpan.FromSeconds(30)).TotalSeconds);
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _commandTimeout = value;
        }
    }

    /// <inheritdoc/>
    public override CommandType CommandType
    {
        get => _inner.CommandType;
        set => _inner.CommandType = value;
    }

    /// <inheritdoc/>
    public override bool DesignTimeVisible
    {
        get => _inner.DesignTimeVisible;
        set => _inner.DesignTimeVisible = value;
    }

    /// <inheritdoc/>
    public override UpdateRowSource UpdatedRowSource
    {
        get => _inner.UpdatedRowSource;
        set => _inner.UpdatedRowSource = value;
    }

    /// <inheritdoc/>
    protected override DbConnection? DbConnection
    {
        get => _connection;
        set => _connection = value is null or PooledConnection
            ? (PooledConnection?)value
            : throw new InvalidCastException("A command of the pool takes a connection of the pool.");
    }

    /// <inheritdoc/>
    protected override DbParameterCollection DbParameterCollection => _inner.Parameters;

    /// <inheritdoc/>
    protected override DbTransaction? DbTransaction
    {
        get => _transaction;
        set => _transaction = value is null or PooledTransaction
            ? (PooledTransaction?)value
            : throw new InvalidCastException("A command of the pool takes a transaction of the pool.");
    }

    private PooledConnection RequiredConnection =>
        _connection ?? throw new InvalidOperationException("The command has no connection.");

    /// <inheritdoc/>
    public override async Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken)
    {
        PooledConnection connection = RequiredConnection;
        OperationBound bound = await BeginAsync(connection, cancellationToken).ConfigureAwait(false);
        return await connection
            .RunAsync(_inner.ExecuteNonQueryAsync(CancellationToken.None), bound, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken)
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

        // The wrapper closes its own connection: the driver must not close the session.
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

    /// <summary>Nothing: a prepared handle would not outlive the rent, and the driver forgets to forget it.</summary>
    public override void Prepare()
    {
    }

    /// <inheritdoc cref="Prepare"/>
    public override Task PrepareAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    /// <summary>
    /// Cuts the statement in flight off from its caller and ends it on the server; the connection is severed. Does not
    /// wait. Nothing happens when none is in flight.
    /// </summary>
    public override void Cancel() => _connection?.Cancel();

    /// <inheritdoc/>
    protected override DbParameter CreateDbParameter() => _inner.CreateParameter();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _inner.Dispose();
        base.Dispose(disposing);
    }

    private async ValueTask<OperationBound> BeginAsync(PooledConnection connection, CancellationToken token)
    {
        OperationBound bound = await connection.BeginAsync(Bound(CommandTimeout), token).ConfigureAwait(false);
        _inner.Connection = bound.Physical.Inner;

        // Enlisted whether the caller says so or not: on this session there is nothing else it could run in.
        _inner.Transaction = _transaction?.InnerOf(connection) ?? bound.Physical.Transaction;
        _inner.CommandTimeout = DriverTimeout(connection.Pool, bound.Deadline);
        return bound;
    }

    /// <summary>A timeout of ADO.NET, where 0 stands for none.</summary>
    internal static TimeSpan Bound(int seconds) =>
        seconds == 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(seconds);

    /// <summary>
    /// The driver's timeout in whole seconds: what is left, and the time of a recovery. It is the last resort, for a
    /// server that does not answer the kill either; it then closes the socket.
    /// </summary>
    internal static int DriverTimeout(ConnectionPool pool, Deadline deadline) => deadline.IsNone
        ? 0
        : (int)Math.Min(
            int.MaxValue / 1000,
            Math.Ceiling(deadline.Remaining(pool.Clock).TotalSeconds + pool.Options.RecoveryTimeout.TotalSeconds));
}
