using System.Data;
using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// A transaction on a rented connection. Disposed without a commit, it is rolled back in the background, at the latest
/// when the connection returns.
/// </summary>
public sealed class PooledTransaction : DbTransaction
{
    private readonly PooledConnection _connection;
    private readonly DbTransaction _inner;
    private readonly TransactionWatch _watch;
    private bool _ended;
    private bool _isDisposed;
    private bool _isCommitSent;
    private bool _keptPart;

    internal PooledTransaction(PooledConnection connection, DbTransaction inner, TransactionWatch watch)
    {
        _connection = connection;
        _inner = inner;
        _watch = watch;
        IsolationLevel = inner.IsolationLevel;
    }

    /// <inheritdoc/>
    public override IsolationLevel IsolationLevel { get; }

    /// <inheritdoc/>
    public override bool SupportsSavepoints => _inner.SupportsSavepoints;

    /// <summary>The connection; null once the transaction has ended.</summary>
    protected override DbConnection? DbConnection => _ended ? null : _connection;

    /// <summary>
    /// Whether part of the transaction may be stored: a commit was sent and not plainly refused, or one of its own
    /// statements may have committed it (DDL, <c>LOCK TABLES</c>, a procedure that commits).
    /// <see cref="RollbackAsync(CancellationToken)"/> asks the server whether such a statement has.
    /// </summary>
    public bool MayHaveCommitted => _isCommitSent || _keptPart || _watch.MayHaveCommitted;

    /// <summary>Commits.</summary>
    /// <exception cref="TransactionEndedException">The server had already ended the transaction, and no commit was
    /// sent. Its <see cref="TransactionEndedException.MayHaveCommitted"/> tells whether earlier work may be
    /// stored.</exception>
    /// <exception cref="OutcomeUnknownException">
    /// The commit was sent, and its answer was not seen (the deadline passed, the token was cancelled, the connection
    /// was lost) or leaves its effect open. The transaction may be committed or not (INV-9).
    /// </exception>
    /// <exception cref="DeadlineExceededException">The deadline had passed before the commit was sent; nothing is
    /// committed. Nothing is committed after any other exception either, except those above: see
    /// <see cref="MayHaveCommitted"/>.</exception>
    public override async Task CommitAsync(CancellationToken cancellationToken = default)
    {
        OperationBound bound = await BeginAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await EnsureOpenAsync(bound, cancellationToken).ConfigureAwait(false);
            _ended = _isCommitSent = true;
            await EndAsync(_inner.CommitAsync(CancellationToken.None), bound, cancellationToken).ConfigureAwait(false);
            _connection.HasWritten = true;
        }
        catch (Exception exception) when (_isCommitSent && !IsUnknown(exception, bound))
        {
            _isCommitSent = false;
            throw;
        }
        catch (Exception exception) when (_isCommitSent)
        {
            _watch.NoteUnclearCommit();
            string name = _connection.Pool.Options.Name;
            throw new OutcomeUnknownException(
                IsAnswered(exception, bound)
                    ? $"Pool '{name}': a commit was sent and the server's answer leaves open whether it took effect. "
                        + "Read the data before trying again."
                    : $"Pool '{name}': a commit was sent and its answer was not seen; whether it took effect is "
                        + "unknown. Read the data before trying again.",
                exception);
        }
        finally
        {
            bound.Release();
        }
    }

    /// <summary>Rolls back.</summary>
    /// <exception cref="TransactionEndedException">One of its own statements had already committed the transaction;
    /// later work was rolled back.</exception>
    public override async Task RollbackAsync(CancellationToken cancellationToken = default)
    {
        OperationBound bound = await BeginAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_watch.MayHaveCommitted)
            {
                await TransactionGuard.LookAsync(_connection, bound, cancellationToken).ConfigureAwait(false);
                _isCommitSent &= _watch.MayHaveCommitted;
            }

            _ended = true;
            await EndAsync(_inner.RollbackAsync(CancellationToken.None), bound, cancellationToken)
                .ConfigureAwait(false);
            if (_watch.MayHaveCommitted) throw TransactionGuard.Ended(_connection, _watch);
        }
        finally
        {
            bound.Release();
        }
    }

    /// <inheritdoc/>
    public override void Commit()
    {
        _connection.ThrowUnlessSynchronous("CommitAsync");
        CommitAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override void Rollback()
    {
        _connection.ThrowUnlessSynchronous("RollbackAsync");
        RollbackAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override Task SaveAsync(string savepointName, CancellationToken cancellationToken = default) =>
        SavepointAsync(() => _inner.SaveAsync(savepointName, CancellationToken.None), cancellationToken);

    /// <inheritdoc/>
    public override Task RollbackAsync(string savepointName, CancellationToken cancellationToken = default) =>
        SavepointAsync(() => _inner.RollbackAsync(savepointName, CancellationToken.None), cancellationToken);

    /// <inheritdoc/>
    public override Task ReleaseAsync(string savepointName, CancellationToken cancellationToken = default) =>
        SavepointAsync(() => _inner.ReleaseAsync(savepointName, CancellationToken.None), cancellationToken);

    /// <summary>
    /// Rolls back a transaction that has written and will not be committed, while there is time, and asks the server
    /// whether part of it is stored: a statement may have committed it, and tables without transactions keep their
    /// changes.
    /// </summary>
    internal async Task SettleAsync()
    {
        if (_ended || !(_watch.MayHaveCommitted || _watch.HasWritten)) return;
        if (_connection.State != ConnectionState.Open) return;

        try
        {
            OperationBound bound = await BeginAsync(CancellationToken.None).ConfigureAwait(false);
            try
            {
                await TransactionGuard.LookAsync(_connection, bound, CancellationToken.None).ConfigureAwait(false);
                _ended = true;
                await EndAsync(_inner.RollbackAsync(CancellationToken.None), bound, CancellationToken.None)
                    .ConfigureAwait(false);
                _keptPart = await _connection
                    .RunAsync(bound.Physical.HasKeptPartAsync(), bound, CancellationToken.None).ConfigureAwait(false);
            }
            finally
            {
                bound.Release();
            }
        }
        catch (Exception exception) when (exception is DbException or InvalidOperationException)
        {
            // Without an answer, the outcome stays open.
        }
    }

    internal DbTransaction InnerOf(PooledConnection connection)
    {
        if (!ReferenceEquals(connection, _connection))
            throw new InvalidOperationException("The transaction belongs to another connection.");

        return _inner;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _isDisposed = true;
            if (!_ended)
            {
                _ended = true;
                RollBack();
            }
        }

        base.Dispose(disposing);
    }

    private void ThrowIfEnded()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (_ended) throw new InvalidOperationException("The transaction has ended.");
    }

    private void RollBack()
    {
        if (_connection.Held is not { } physical) return;

        // Read the run before the rent; see Operation.
        long seen = physical.Operation.CurrentRun;
        if (_connection.State != ConnectionState.Open || !ReferenceEquals(physical.Transaction, _inner)) return;

        // A statement still under way belongs to the transaction: both end with the connection.
        if (!physical.Operation.TryClaim(seen, out long run))
        {
            _connection.Close();
            return;
        }

        physical.RollBack(_inner);
        physical.Operation.Release(run);
    }

    private async Task SavepointAsync(Func<Task> operation, CancellationToken token)
    {
        OperationBound bound = await BeginAsync(token).ConfigureAwait(false);
        try
        {
            await EnsureOpenAsync(bound, token).ConfigureAwait(false);
            await _connection.RunAsync(operation(), bound, token).ConfigureAwait(false);
        }
        finally
        {
            bound.Release();
        }
    }

    private ValueTask<OperationBound> BeginAsync(CancellationToken token)
    {
        ThrowIfEnded();

        return _connection.BeginAsync(_connection.Pool.Options.StatementTimeout, token);
    }

    /// <summary>Checks that the server still has the transaction: the server accepts a commit even without
    /// one.</summary>
    private async ValueTask EnsureOpenAsync(OperationBound bound, CancellationToken token)
    {
        await TransactionGuard.LookAsync(_connection, bound, token).ConfigureAwait(false);
        if (_watch.IsOver) throw TransactionGuard.Ended(_connection, _watch);
    }

    private async ValueTask EndAsync(Task end, OperationBound bound, CancellationToken token)
    {
        try
        {
            await _connection.RunAsync(end, bound, token).ConfigureAwait(false);
        }
        catch
        {
            // The server refused: the transaction still exists, for a rollback or a dispose to end.
            _ended = !bound.IsHeld;
            throw;
        }

        // Only now: until the driver has released the transaction, the recovery needs the reference.
        if (!ReferenceEquals(bound.Physical.Transaction, _inner)) return;

        bound.Physical.Transaction = null;
        TransactionGuard.End(bound.Physical);
    }

    /// <summary>Whether the outcome of a sent commit is unknown: it was not plainly refused.</summary>
    private bool IsUnknown(Exception exception, OperationBound bound) =>
        !IsAnswered(exception, bound) || !_connection.Pool.Connector.IsCommitRefused(exception);

    /// <summary>Whether the answer was seen: the operation was not severed, and the connection was not lost.</summary>
    private bool IsAnswered(Exception exception, OperationBound bound) =>
        bound.IsHeld && _connection.Pool.Connector.Classify(exception) != DriverFailure.Connection;
}
