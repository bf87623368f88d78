using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

using UPool.Core;

namespace UPool;

/// <summary>
/// A rented connection. Closing or disposing it returns it to the pool at once, without I/O; after that, no object
/// created from it can use the session. Every operation ends by the rent's <see cref="Deadline"/>.
/// </summary>
/// <remarks>Like any ADO.NET connection, it is for one caller at a time.</remarks>
public sealed partial class PooledConnection : DbConnection
{
    private static readonly StateChangeEventArgs Opened = new(ConnectionState.Closed, ConnectionState.Open);
    private static readonly StateChangeEventArgs Closed = new(ConnectionState.Open, ConnectionState.Closed);
    private static readonly StateChangeEventArgs Broke = new(ConnectionState.Open, ConnectionState.Broken);
    private static readonly StateChangeEventArgs ClosedBroken = new(ConnectionState.Broken, ConnectionState.Closed);

    private readonly ConnectionPool _pool;
    private PhysicalConnection? _physical;
    private long _rentId;
    private Deadline _deadline;
    private OperationEnd _severedBy;
    private RentPlace _openedBy;
    private bool _disposed;
    private bool _isLeftInTransaction;

    // The last state raised by StateChange.
    private ConnectionState _told;

    internal PooledConnection(ConnectionPool pool, RentPlace openedBy = default)
    {
        _pool = pool;
        _openedBy = openedBy;
    }

    internal PooledConnection(ConnectionPool pool, RentOutcome rented, Deadline deadline)
    {
        _pool = pool;
        _physical = rented.Connection;
        _rentId = rented.RentId;
        _deadline = deadline;
        _told = ConnectionState.Open;
    }

    /// <summary>
    /// The deadline by which every operation on this connection ends, with a result or a
    /// <see cref="DeadlineExceededException"/>.
    /// </summary>
    public Deadline Deadline
    {
        get => _deadline;
        set => _deadline = value;
    }

    /// <summary>
    /// The connection string of the pool's sessions, without user and password. It cannot be changed; setting the same
    /// value has no effect.
    /// </summary>
    /// <exception cref="InvalidOperationException">Set while the connection is open.</exception>
    /// <exception cref="NotSupportedException">Set to anything else.</exception>
    [AllowNull]
    public override string ConnectionString
    {
        get => _pool.Connector.ConnectionString;
        set
        {
            if (value == ConnectionString) return;
            if (IsOpen)
                throw new InvalidOperationException("The connection string of an open connection cannot be set.");

            throw new NotSupportedException(
                $"Pool '{_pool.Options.Name}': a pooled connection takes its settings from the pool.");
        }
    }

    /// <summary>The current database; while closed, the database that the pool opens with.</summary>
    public override string Database => Held?.Inner.Database ?? _pool.Connector.Database;

    /// <summary>The server's name or address, or the file.</summary>
    public override string DataSource => _pool.Connector.DataSource;

    /// <inheritdoc/>
    public override string ServerVersion => Physical.Inner.ServerVersion;

    /// <summary>
    /// Open from the rent to the return. Closed also after a deadline, a cancellation or the pool has taken the
    /// connection away. Broken if the session was lost and the connection is not closed yet.
    /// </summary>
    public override ConnectionState State => Held switch
    {
        null => ConnectionState.Closed,
        { IsBroken: true } => ConnectionState.Broken,
        _ => ConnectionState.Open,
    };

    /// <inheritdoc/>
    public override int ConnectionTimeout => (int)Math.Ceiling(_pool.Options.RentTimeout.TotalSeconds);

    /// <inheritdoc/>
    public override bool CanCreateBatch => true;

    /// <inheritdoc/>
    protected override DbProviderFactory? DbProviderFactory => _pool.Factory;

    internal ConnectionPool Pool => _pool;

    /// <summary>Whether something that this renter has sent may be stored: a statement other than a SELECT was sent
    /// outside a transaction and has not plainly failed, or a transaction was committed.</summary>
    internal bool HasWritten { get; set; }

    /// <summary>Whether <see cref="HasWritten"/> must also cover a SELECT that calls a writing function: this costs a
    /// scan of each text.</summary>
    internal bool MustKnowWrites { get; set; }

    /// <summary>Whether the renter has begun a transaction, has written in it, and has not ended it.</summary>
    internal bool IsLeftInTransaction =>
        _isLeftInTransaction || Held?.Watch is { IsOver: false, HasWritten: true };

    /// <summary>The session, while this connection holds it.</summary>
    /// <exception cref="InvalidOperationException">The connection is closed, or was severed.</exception>
    internal PhysicalConnection Physical => Held ?? throw NotOpen();

    /// <summary>The session, or null once this connection no longer holds it. Read it once: another thread may close
    /// the connection at any moment.</summary>
    internal PhysicalConnection? Held =>
        _physical is { } physical && physical.RentId == _rentId ? physical : null;

    private bool IsOpen => Held is not null;

    /// <inheritdoc/>
    /// <exception cref="RentRefusedException">The rent was refused.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public override Task OpenAsync(CancellationToken cancellationToken) => RentAsync(cancellationToken).AsTask();

    /// <summary>As <see cref="OpenAsync"/>, without the allocation of a task.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    internal async ValueTask RentAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_physical is not null)
            throw IsOpen ? new InvalidOperationException("The connection is open already.") : NotOpen();
        if (System.Transactions.Transaction.Current is not null) throw NoAmbientTransactions();

        RentPlace openedBy = _openedBy.Member is null ? _pool.FindCaller() : _openedBy;
        _openedBy = default;
        RentOutcome outcome = await _pool.RentAsync(_deadline, cancellationToken, openedBy).ConfigureAwait(false);
        if (outcome.Refusal is { } refusal)
            throw new RentRefusedException(refusal.Reason, refusal.Message, refusal.Cause);

        if (_disposed || _physical is not null)
        {
            // Disposed, or opened a second time, during this open: the rent must not be lost (INV-7).
            _pool.Release(outcome.Connection!, outcome.RentId);
            ObjectDisposedException.ThrowIf(_disposed, this);
            throw new InvalidOperationException("The connection is open already.");
        }

        _physical = outcome.Connection;
        _rentId = outcome.RentId;
        _severedBy = default;
        HasWritten = _isLeftInTransaction = false;
        Tell(ConnectionState.Open);
    }

    /// <summary>Opens, blocking the thread. Only with <see cref="PoolOptions.AllowSynchronous"/>.</summary>
    public override void Open()
    {
        ThrowUnlessSynchronous("OpenAsync");
        OpenAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <summary>
    /// Returns the connection to the pool, at once and without I/O. Unfinished work is ended on the server: a statement
    /// in flight, a transaction without a commit, and the rest of a script whose results were not read.
    /// </summary>
    public override void Close()
    {
        PhysicalConnection? physical = _physical;
        if (physical is null) return;

        _isLeftInTransaction = IsLeftInTransaction;
        _physical = null;
        _pool.Release(physical, _rentId);
        Tell(ConnectionState.Closed);
    }

    /// <summary>
    /// The driver's own connection, for features outside ADO.NET (bulk copy and the like). Its use is not bound by the
    /// pool's deadlines, and the connection is discarded when it is returned.
    /// </summary>
    /// <typeparam name="T">The driver's type, such as <c>MySqlConnection</c>.</typeparam>
    /// <exception cref="InvalidOperationException">The connection is not open, or the driver's connection is of another
    /// type.</exception>
    public T Unwrap<T>()
        where T : DbConnection
    {
        PhysicalConnection physical = Physical;
        if (physical.Inner is not T inner)
        {
            throw new InvalidOperationException(
                $"The driver's connection is a {physical.Inner.GetType().Name}, not a {typeof(T).Name}.");
        }

        physical.MustDiscard = true;
        return inner;
    }

    /// <inheritdoc/>
    public override void ChangeDatabase(string databaseName)
    {
        ThrowUnlessSynchronous("ChangeDatabaseAsync");
        ChangeDatabaseAsync(databaseName, CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <summary>Changes the current database. The next renter starts in the pool's database again.</summary>
    public override async Task ChangeDatabaseAsync(string databaseName, CancellationToken cancellationToken = default)
    {
        var bound = await BeginAsync(_pool.Options.StatementTimeout, cancellationToken).ConfigureAwait(false);
        try
        {
            Task change = bound.Physical.Inner.ChangeDatabaseAsync(databaseName, CancellationToken.None);
            await RunAsync(change, bound, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            bound.Release();
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask<DbTransaction> BeginDbTransactionAsync(
        IsolationLevel isolationLevel, CancellationToken cancellationToken)
    {
        var bound = await BeginAsync(_pool.Options.StatementTimeout, cancellationToken).ConfigureAwait(false);
        try
        {
            if (bound.Physical.Transaction is not null)
                throw new InvalidOperationException("The connection has a transaction already; they do not nest.");

            Task<DbTransaction> begin = bound.Physical.Inner
                .BeginTransactionAsync(isolationLevel, CancellationToken.None).AsTask();
            DbTransaction transaction = await RunAsync(begin, bound, cancellationToken).ConfigureAwait(false);
            bound.Physical.Transaction = transaction;
            return new PooledTransaction(
                this, transaction, bound.Physical.Watch = new TransactionWatch(bound.Physical, TransactionOrigin.Api));
        }
        finally
        {
            bound.Release();
        }
    }

    /// <inheritdoc/>
    protected override DbTransaction BeginDbTransaction(IsolationLevel isolationLevel)
    {
        ThrowUnlessSynchronous("BeginTransactionAsync");
        return BeginDbTransactionAsync(isolationLevel, CancellationToken.None).AsTask().GetAwaiter().GetResult();
    }

    /// <summary>Accepts only null: a distributed transaction would be spread over several sessions.</summary>
    /// <exception cref="InvalidOperationException">The connection is not open.</exception>
    /// <exception cref="NotSupportedException">The transaction is not null.</exception>
    public override void EnlistTransaction(System.Transactions.Transaction? transaction)
    {
        _ = Physical;
        if (transaction is not null) throw NoAmbientTransactions();
    }

    /// <inheritdoc/>
    protected override DbCommand CreateDbCommand() => new PooledCommand(this, _pool.Connector);

    /// <inheritdoc/>
    protected override DbBatch CreateDbBatch() => new PooledBatch(this, _pool.Connector);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Close();
            _disposed = true;
        }

        base.Dispose(disposing);
    }

    private static NotSupportedException NoAmbientTransactions() => new(
        "An ambient TransactionScope is not supported: it would be spread over several sessions. "
        + "Use BeginTransactionAsync on one connection.");

    /// <summary>Raises StateChange if the state differs from the last one raised.</summary>
    private void Tell(ConnectionState state)
    {
        ConnectionState told = _told;
        if (told == state) return;

        _told = state;
        OnStateChange((told, state) switch
        {
            (ConnectionState.Closed, ConnectionState.Open) => Opened,
            (ConnectionState.Open, ConnectionState.Closed) => Closed,
            (ConnectionState.Open, ConnectionState.Broken) => Broke,
            (ConnectionState.Broken, ConnectionState.Closed) => ClosedBroken,
            _ => new StateChangeEventArgs(told, state),
        });
    }
}
