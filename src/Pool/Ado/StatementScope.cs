using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>What a command and a batch have in common: whose they are, and how long they may take.</summary>
internal struct StatementScope(PooledConnection? connection, string what)
{
    private PooledConnection? _connection = connection;
    private PooledTransaction? _transaction;
    private int? _timeout;

    /// <summary>The connection; only one of a pool will do.</summary>
    public DbConnection? Connection
    {
        readonly get => _connection;
        set => _connection = value is null or PooledConnection
            ? (PooledConnection?)value
            : throw new InvalidCastException($"A {what} of the pool takes a connection of the pool.");
    }

    /// <summary>The transaction; only one of a pool will do.</summary>
    public DbTransaction? Transaction
    {
        readonly get => _transaction;
        set => _transaction = value is null or PooledTransaction
            ? (PooledTransaction?)value
            : throw new InvalidCastException($"A {what} of the pool takes a transaction of the pool.");
    }

    /// <summary>Seconds; 0 for no bound but the connection's. The pool's own bound unless set.</summary>
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
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public readonly PooledConnection Required =>
        _connection ?? throw new InvalidOperationException($"The {what} has no connection.");

    /// <summary>Makes the connection ready for one execution.</summary>
    public readonly ValueTask<OperationBound> BeginAsync(CancellationToken token, bool isFixedSelect = false) =>
        Required.BeginAsync(
            Timeout == 0 ? System.Threading.Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(Timeout), token,
            isFixedSelect);

    /// <summary>
    /// The driver's transaction to execute in, whether the caller named it or not: on this session there is nothing
    /// else it could run in.
    /// </summary>
    public readonly DbTransaction? InnerTransaction(OperationBound bound) =>
        _transaction?.InnerOf(Required) ?? bound.Physical.Transaction;

    /// <summary>
    /// The driver's timeout in whole seconds: what is left, and the time of a recovery. It is the last resort, for a
    /// server that does not answer the kill either; it then closes the socket.
    /// </summary>
    public readonly int DriverTimeout(OperationBound bound)
    {
        if (bound.Deadline.IsNone) return 0;

        ConnectionPool pool = Required.Pool;
        double seconds = (bound.Deadline.Remaining(pool.Clock) + pool.Options.RecoveryTimeout).TotalSeconds;

        // In milliseconds the driver keeps it in an int.
        return (int)Math.Min(int.MaxValue / 1000, Math.Ceiling(seconds));
    }

    /// <summary>Does what waits for nothing, as a task.</summary>
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
