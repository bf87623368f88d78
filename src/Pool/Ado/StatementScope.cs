using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>The common part of a command and a batch: connection, transaction and timeout.</summary>
internal struct StatementScope(PooledConnection? connection, string what)
{
    private PooledConnection? _connection = connection;
    private PooledTransaction? _transaction;
    private int? _timeout;

    /// <summary>The connection; it must be one of a pool.</summary>
    public DbConnection? Connection
    {
        readonly get => _connection;
        set => _connection = value is null or PooledConnection
            ? (PooledConnection?)value
            : throw new InvalidCastException($"A {what} of the pool takes a connection of the pool.");
    }

    /// <summary>The transaction; it must be one of a pool.</summary>
    public DbTransaction? Transaction
    {
        readonly get => _transaction;
        set => _transaction = value is null or PooledTransaction
            ? (PooledTransaction?)value
            : throw new InvalidCastException($"A {what} of the pool takes a transaction of the pool.");
    }

    /// <summary>Seconds; 0 if only the connection's deadline applies. Default: the pool's
    /// <see cref="PoolOptions.StatementTimeout"/>.</summary>
    public int Timeout
    {
        readonly get => _timeout
            ?? (int)Math.Ceiling((_connection?.Pool.Options.StatementTimeout ?? TimeSpan.FromSeconds(30)).TotalSeconds);
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _timeout = value;
        }
    }

    /// <summary>The connection to execute on.</summary>
    /// <exception cref="InvalidOperationException">There is no connection.</exception>
    public readonly PooledConnection Required =>
        _connection ?? throw new InvalidOperationException($"The {what} has no connection.");

    /// <summary>Prepares the connection for one execution.</summary>
    public readonly ValueTask<OperationBound> BeginAsync(CancellationToken token, bool isFixedSelect = false) =>
        Required.BeginAsync(
            Timeout == 0 ? System.Threading.Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(Timeout), token,
            isFixedSelect);

    /// <summary>
    /// The driver's transaction to execute in, whether the caller named it or not: the session has no other.
    /// </summary>
    public readonly DbTransaction? InnerTransaction(OperationBound bound) =>
        _transaction?.InnerOf(Required) ?? bound.Physical.Transaction;

    /// <summary>
    /// The driver's timeout in whole seconds: the time left plus the recovery timeout. The last resort for a server
    /// that does not answer the kill either; the driver then closes the socket.
    /// </summary>
    public readonly int DriverTimeout(OperationBound bound)
    {
        if (bound.Deadline.IsNone) return 0;

        ConnectionPool pool = Required.Pool;
        double seconds = (bound.Deadline.Remaining(pool.Clock) + pool.Options.RecoveryTimeout).TotalSeconds;

        // The driver keeps the timeout in milliseconds, in an int.
        return (int)Math.Min(int.MaxValue / 1000, Math.Ceiling(seconds));
    }

    /// <summary>Runs an action that does not wait, and returns its outcome as a task.</summary>
    public static Task TryAsync(Action action, CancellationToken token)
    {
        if (token.IsCancellationRequested) return Task.FromCanceled(token);

        try
        {
            action();
            return Task.CompletedTask;
        }
        catch (Exception exception)
        {
            return Task.FromException(exception);
        }
    }

    /// <summary>Cuts the execution in flight off from its caller.</summary>
    public readonly void Cancel() => _connection?.Cancel();
}
