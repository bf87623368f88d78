using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

using Microsoft.Extensions.Logging;

using UPool.Core;

namespace UPool;

/// <summary>
/// A bounded pool of database connections, as a <see cref="DbDataSource"/>: closing a connection returns it. Created by
/// <see cref="MySql.MySqlPool"/>, or over a file by <c>UPool.Sqlite</c>. Thread-safe.
/// </summary>
public sealed class PooledDataSource : DbDataSource
{
    /// <summary>The name of the meter with all instruments of the pools, for <c>AddMeter</c>.</summary>
    public const string MeterName = PoolTelemetry.MeterName;

    /// <summary>The source of the statements' spans, for <c>AddSource</c>: <c>UPool</c>. A span holds the statement's
    /// text with ? for each literal, and no parameter's value.</summary>
    public const string ActivitySourceName = StatementTrace.SourceName;

    private readonly ConnectionPool _pool;

    internal PooledDataSource(
        PoolOptions options, IConnector connector, TimeProvider? clock, ILoggerFactory? loggers,
        bool needsLease = false)
    {
        ILogger logger = GuardedLogger.For<PooledDataSource>(loggers);
        _pool = new ConnectionPool(options, connector, clock ?? TimeProvider.System, logger, needsLease);
        Factory = new PooledProviderFactory(_pool);
        _pool.Factory = Factory;
    }

    /// <summary>The pool's name.</summary>
    public string Name => _pool.Options.Name;

    /// <summary>The database family behind the pool.</summary>
    public SqlDialect Dialect => _pool.Connector.Dialect;

    /// <summary>The pool's target, for display: host, port and database. Never a credential.</summary>
    public string Target => _pool.Connector.Target;

    /// <summary>The connection string of the pool's sessions without user and password: no credential leaves the
    /// pool.</summary>
    public override string ConnectionString => _pool.Connector.ConnectionString;

    /// <summary>Creates connections, commands, parameters and adapters of this pool, for libraries that need a
    /// factory.</summary>
    public PooledProviderFactory Factory { get; }

    /// <summary>
    /// The most sessions the pool may have on the server. A change takes effect at once in both directions: surplus
    /// idle connections close now, used ones when they are returned. With 0 the pool rents nothing.
    /// </summary>
    public int MaxConnections
    {
        get => _pool.MaxConnections;
        set => _pool.MaxConnections = value;
    }

    /// <summary>
    /// Whether the pool has permits only while a <see cref="Lease"/> is in force: it belongs to a deployment with one
    /// budget.
    /// </summary>
    public bool NeedsLease => _pool.NeedsLease;

    /// <summary>
    /// The newest lease, ended or not. A new lease takes effect at once in both directions. When it is null or has
    /// ended, the pool has no permits: idle connections close, pending rents are refused with
    /// <see cref="RefusalReason.NoPermits"/>, and rented connections close when they are returned; at the end of the
    /// grace they are severed. With a lease the pool opens one connection at a time.
    /// </summary>
    /// <exception cref="InvalidOperationException">The pool needs no lease.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The permits are negative, or the grace ends before the
    /// lease.</exception>
    public PoolLease? Lease
    {
        get => _pool.Lease;
        set => _pool.Lease = value;
    }

    /// <summary>
    /// Raised when a rent waits, or was refused, while all permits are in use and more would help. Raised on the thread
    /// pool, once for each lease that is set.
    /// </summary>
    public event Action? PermitsWanted
    {
        add => _pool.PermitsWanted += value;
        remove => _pool.PermitsWanted -= value;
    }

    /// <summary>Whether the database answers, as the pool last saw it.</summary>
    public PoolHealth Health =>
        _pool.Problem is { } problem ? new PoolHealth(false, problem) : new PoolHealth(true, null);

    internal ConnectionPool Pool => _pool;

    /// <summary>
    /// Rents a connection, in order of arrival. Waits for <see cref="PoolOptions.RentTimeout"/> or until the deadline,
    /// whichever is earlier. A refusal is a value, not an exception.
    /// </summary>
    /// <param name="deadline">Also bounds every operation on the connection.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="caller">Filled in by the compiler; for the report of a rent held too long.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<RentResult> RentAsync(
        Deadline deadline = default,
        CancellationToken cancellationToken = default,
        [CallerMemberName] string caller = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        RentOutcome outcome = await _pool
            .RentAsync(deadline, cancellationToken, new RentPlace(caller, file, line)).ConfigureAwait(false);
        return outcome.Refusal is { } refusal
            ? new RentResult(refusal)
            : new RentResult(new PooledConnection(_pool, outcome, deadline));
    }

    /// <summary>
    /// Opens a connection as any <see cref="DbDataSource"/> does. Called on the type <see cref="PooledDataSource"/>, it
    /// also records its caller for the report of a rent held too long.
    /// </summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="caller">Filled in by the compiler; for the report of a rent held too long.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <exception cref="RentRefusedException">The rent was refused.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<DbConnection> OpenConnectionAsync(
        CancellationToken cancellationToken = default,
        [CallerMemberName] string caller = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        var connection = new PooledConnection(_pool, new RentPlace(caller, file, line));
        await connection.RentAsync(cancellationToken).ConfigureAwait(false);
        return connection;
    }

    /// <summary>
    /// Rents a connection if one is ready. Never overtakes pending rents. When it returns false, the pool pings an idle
    /// connection or opens one, so that a later try can succeed.
    /// </summary>
    /// <param name="connection">The open connection; null when none was ready.</param>
    /// <param name="deadline">Bounds every operation on the connection.</param>
    /// <param name="caller">Filled in by the compiler; for the report of a rent held too long.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public bool TryRent(
        [NotNullWhen(true)] out PooledConnection? connection,
        Deadline deadline = default,
        [CallerMemberName] string caller = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        connection = _pool.TryRent(out PhysicalConnection? physical, out long rentId, new RentPlace(caller, file, line))
            ? new PooledConnection(_pool, new RentOutcome(physical, rentId), deadline)
            : null;
        return connection is not null;
    }

    /// <summary>The pool's use of its lease at one moment. Only for the renewal of that lease, because each read starts
    /// a new peak.</summary>
    public LeaseUse ReadLeaseUse() => _pool.ReadLeaseUse();

    /// <summary>Severs and closes now the connections still rented under an ended lease, instead of at the end of the
    /// grace. Connections within a lease in force are unaffected.</summary>
    public void CutOff() => _pool.CutOff();

    /// <summary>
    /// A <i>no-reset rent</i> for one fixed SELECT of this project: the connection returns without a round trip if it
    /// executed only that SELECT and all rows were read. Anything else makes it an ordinary rent.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<RentResult> RentAsync(
        FixedSelect? select,
        Deadline deadline,
        CancellationToken cancellationToken,
        [CallerMemberName] string caller = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        RentOutcome outcome = await _pool
            .RentAsync(deadline, cancellationToken, new RentPlace(caller, file, line), select).ConfigureAwait(false);
        return outcome.Refusal is { } refusal
            ? new RentResult(refusal)
            : new RentResult(new PooledConnection(_pool, outcome, deadline));
    }

    /// <summary>
    /// Opens the first connection; others are opened on demand. Waits until that open has succeeded, failed, or gone
    /// unanswered for <see cref="PoolOptions.OpenTimeout"/>. Does not throw when the database is unavailable:
    /// <see cref="Health"/> reports it, and the pool keeps trying.
    /// </summary>
    public Task StartAsync(CancellationToken cancellationToken = default) =>
        _pool.StartAsync(timeout: null, cancellationToken);

    /// <summary>
    /// As <see cref="StartAsync"/>, for work that needs a connection, such as a set-up: waits up to
    /// <paramref name="timeout"/> for the first connection, even if opens fail meanwhile.
    /// </summary>
    /// <param name="timeout">How long to wait.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether a connection is open.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task<bool> OpenFirstAsync(TimeSpan timeout, CancellationToken cancellationToken = default) =>
        _pool.StartAsync(timeout, cancellationToken);

    /// <summary>
    /// Opens with another connection string from now on, to the same server and database; credentials, certificates and
    /// all other settings may differ. The pool tries it with one open at once, within <see cref="MaxConnections"/>.
    /// Once the server accepts it, all earlier connections close: idle ones at once, used ones as they return. Until
    /// then the pool keeps using the previous string, retries every 10 s and whenever the previous one fails, and
    /// reports the state in <see cref="Health"/>.
    /// </summary>
    /// <param name="connectionString">The new connection string, in the form that created the pool.</param>
    /// <param name="cancellationToken">Ends the wait, not the change.</param>
    /// <returns>Whether the server accepted it at the first try. Also false if another change or the end of the pool
    /// came first. Incomplete while the server does not answer.</returns>
    /// <exception cref="ArgumentException">The string cannot be used, or leads to another server or database; nothing
    /// has changed. The message holds no value from the string.</exception>
    /// <exception cref="NotSupportedException">The pool is a SQLite pool.</exception>
    public Task<bool> ChangeConnectionStringAsync(
        string connectionString, CancellationToken cancellationToken = default) =>
        _pool.ChangeAsync(_pool.Connector.Prepare(connectionString)).WaitAsync(cancellationToken);

    /// <summary>Closes all connections opened before this call: idle ones at once, used ones as they return.</summary>
    public void Clear() => _pool.Clear();

    /// <summary>
    /// Refuses new rents, lets the current ones finish for at most <paramref name="timeout"/>, severs the rest and
    /// closes everything. The pool stays closed.
    /// </summary>
    /// <returns>Whether the server has dropped every session.</returns>
    public Task<bool> DrainAsync(TimeSpan timeout) => _pool.DrainAsync(timeout);

    /// <summary>The state of the pool at one moment.</summary>
    public PoolSnapshot Snapshot() => _pool.Snapshot();

    /// <summary>The meaning of an exception caught around the use of a connection.</summary>
    public FailureKind Classify(Exception exception) => FailureNotes.KindOf(exception, _pool.Connector);

    /// <inheritdoc/>
    protected override DbConnection CreateDbConnection() => new PooledConnection(_pool);

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<DbConnection> OpenDbConnectionAsync(
        CancellationToken cancellationToken = default)
    {
        var connection = new PooledConnection(_pool);
        await connection.RentAsync(cancellationToken).ConfigureAwait(false);
        return connection;
    }

    /// <inheritdoc/>
    protected override async ValueTask DisposeAsyncCore()
    {
        await _pool.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsyncCore().ConfigureAwait(false);
    }

    /// <summary>Starts the drain without waiting for it, so no thread blocks. Prefer <c>DisposeAsync</c>.</summary>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _ = _pool.DisposeAsync().AsTask();
        base.Dispose(disposing);
    }
}
