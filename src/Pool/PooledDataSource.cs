using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

using Microsoft.Extensions.Logging;

using UPool.Core;

namespace UPool;

/// <summary>
/// A bounded pool of database connections, as a <see cref="DbDataSource"/>: its connections return themselves when
/// they are closed. Made by <see cref="MySql.MySqlPool"/>, or over a file by <c>UPool.Sqlite</c>. Safe for use by many
/// threads at a time.
/// </summary>
public sealed class PooledDataSource : DbDataSource
{
    /// <summary>The name of the meter with all instruments of the pools, for <c>AddMeter</c>.</summary>
    public const string MeterName = PoolTelemetry.MeterName;

    /// <summary>The source of the spans of statements, for <c>AddSource</c>: <c>UPool</c>. They hold a statement's text
    /// with ? for each literal, and no parameter's value.</summary>
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

    /// <summary>What the pool connects to, for people: host, port and database. Never a credential.</summary>
    public string Target => _pool.Connector.Target;

    /// <summary>What the pool's sessions are opened with, without user and password: no credential leaves the
    /// pool.</summary>
    public override string ConnectionString => _pool.Connector.ConnectionString;

    /// <summary>Makes connections, commands, parameters and adapters of this pool, for libraries that ask for a
    /// factory.</summary>
    public PooledProviderFactory Factory { get; }

    /// <summary>
    /// The most sessions the pool may have on the server. Set, it works at once in both directions: surplus idle
    /// connections close now, used ones when they are returned. 0 rents nothing.
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
    /// The newest lease, ended or not. Set, it works at once in both directions. Null, and at the lease's end, the pool
    /// has no permits: idle connections close, those who wait are refused with
    /// <see cref="RefusalReason.NoPermits"/>, rented ones close as they are returned and are cut off at the end of the
    /// grace. The pool sees to all that by itself. With a lease one connection is opened at a time.
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
    /// A rent waits, or was refused, while all permits are in use and more would help. Raised on the thread pool, once
    /// for each lease that is set.
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
    /// Rents a connection in order of arrival, waiting for <see cref="PoolOptions.RentTimeout"/> or until the deadline,
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
    /// Opens a connection as any <see cref="DbDataSource"/> does; called on a <see cref="PooledDataSource"/>, its
    /// caller is named in the report of a rent held too long.
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
    /// Rents a connection at once, or not at all. Never overtakes those who wait. After a no the pool pings an idle
    /// connection or opens one, so that trying again later helps.
    /// </summary>
    /// <param name="connection">The connection, open; null when none is idle.</param>
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

    /// <summary>What the pool makes of its lease, from one moment: for the renewal of that lease, and for nobody else,
    /// because reading begins a new peak.</summary>
    public LeaseUse ReadLeaseUse() => _pool.ReadLeaseUse();

    /// <summary>Severs and closes now what is still rented under a lease that has ended, rather than at the end of the
    /// grace. Nothing happens to what a lease in force covers.</summary>
    public void CutOff() => _pool.CutOff();

    /// <summary>
    /// The same for one fixed SELECT of this project's own: a <i>no-reset rent</i>, whose connection is back without a
    /// round trip when it did just that and all rows were read. Anything else makes it an ordinary one.
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
    /// Opens the first connection; the others are opened when they are needed. Waits until that has succeeded, has
    /// failed, or has not been answered within <see cref="PoolOptions.OpenTimeout"/>. Does not throw when the database
    /// is away: <see cref="Health"/> says so, and the pool keeps trying.
    /// </summary>
    public Task StartAsync(CancellationToken cancellationToken = default) =>
        _pool.StartAsync(timeout: null, cancellationToken);

    /// <summary>
    /// As <see cref="StartAsync"/>, for work that needs a connection, like a set-up: waits for the first connection
    /// with a time of its own, however often an open fails meanwhile.
    /// </summary>
    /// <param name="timeout">How long to wait.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether a connection is open.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task<bool> OpenFirstAsync(TimeSpan timeout, CancellationToken cancellationToken = default) =>
        _pool.StartAsync(timeout, cancellationToken);

    /// <summary>
    /// Opens with another connection string from now on, to the same server and database: other credentials,
    /// certificates, whatever else it holds. One open tries it at once, within <see cref="MaxConnections"/>; when the
    /// server accepts it, all connections opened before close, idle ones at once and used ones as they return. Until
    /// then the pool goes on with the one before, tries again every 10 s and whenever the one before fails, and
    /// <see cref="Health"/> says so.
    /// </summary>
    /// <param name="connectionString">As the pool was made with.</param>
    /// <param name="cancellationToken">Ends the wait, not the change.</param>
    /// <returns>Whether the server accepted it at the first try. False too when another change or the pool's end came
    /// first. Pending while the server does not answer.</returns>
    /// <exception cref="ArgumentException">It cannot be used, or leads to another server or database; nothing has
    /// changed. The message holds no value of it.</exception>
    /// <exception cref="NotSupportedException">A SQLite pool.</exception>
    public Task<bool> ChangeConnectionStringAsync(
        string connectionString, CancellationToken cancellationToken = default) =>
        _pool.ChangeAsync(_pool.Connector.Prepare(connectionString)).WaitAsync(cancellationToken);

    /// <summary>Closes all connections that were opened before now: idle ones at once, used ones as they
    /// return.</summary>
    public void Clear() => _pool.Clear();

    /// <summary>
    /// Takes no new rents, lets the current ones finish for at most <paramref name="timeout"/>, severs what is left and
    /// closes everything. The pool stays closed.
    /// </summary>
    /// <returns>Whether the server has dropped every session.</returns>
    public Task<bool> DrainAsync(TimeSpan timeout) => _pool.DrainAsync(timeout);

    /// <summary>The state of the pool at one moment.</summary>
    public PoolSnapshot Snapshot() => _pool.Snapshot();

    /// <summary>What an exception that was caught around the use of a connection means.</summary>
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

    /// <summary>Starts the drain and does not wait for it: no thread waits. Prefer <c>DisposeAsync</c>.</summary>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _ = _pool.DisposeAsync().AsTask();
        base.Dispose(disposing);
    }
}
