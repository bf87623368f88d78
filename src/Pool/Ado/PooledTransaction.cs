using System.Data;
using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// A transaction on a rented connection. Disposed without a commit it is rolled back behind the caller's back, at the
/// latest when the connection returns.
/// </summary>
public sealed class PooledTransaction : DbTransaction
{
    private readonly PooledConnection _connection;
    private readonly DbTransaction _inner;
    private bool _ended;
    private bool _isDisposed;

    internal PooledTransaction(PooledConnection connection, DbTransaction inner)
    {
        _connection = connection;
        _inner = inner;
        IsolationLevel = inner.IsolationLevel;
    }

    /// <inheritdoc/>
    public override IsolationLevel IsolationLevel { get; }

    /// <inheritdoc/>
    public override bool SupportsSavepoints => _inner.SupportsSavepoints;

    /// <summary>The connection; null once the transaction has ended.</summary>
    protected override DbConnection? DbConnection => _ended ? null : _connection;

    /// <summary>Commits.</summary>
    /// <exception cref="OutcomeUnknownException">
    /// The commit was sent, and its answer was not seen (the deadline passed, the token was cancelled, the connection
    /// was lost) or leaves its effect open. The transaction may be committed or not (INV-9).
    /// </exception>
    /// <exception cref="DeadlineExceededException">The deadline had passed before the commit was sent; nothing is
    /// committed. The same holds for every exception but the one above.</exception>
    public override async Task CommitAsync(CancellationToken cancellationToken = default)
    {
        OperationBound bound = await BeginEndAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await EndAsync(_inner.CommitAsync(CancellationToken.None), bound, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (IsUnknown(exception, bound))
        {
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

    /// <inheritdoc/>
    public override async Task RollbackAsync(CancellationToken cancellationToken = default)
    {
        OperationBound bound = await BeginEndAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await EndAsync(_inner.RollbackAsync(CancellationToken.None), bound, cancellationToken)
                .ConfigureAwait(false);
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
        if (_connection.State != ConnectionState.Open) return;

        // In this order; see Operation.
        PhysicalConnection physical = _connection.Physical;
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
        ThrowIfEnded();

        OperationBound bound = await _connection
            .BeginAsync(_connection.Pool.Options.StatementTimeout, token).ConfigureAwait(false);
        try
        {
            await _connection.RunAsync(operation(), bound, token).ConfigureAwait(false);
        }
        finally
        {
            bound.Release();
        }
    }

    private async ValueTask<OperationBound> BeginEndAsync(CancellationToken token)
    {
        ThrowIfEnded();

        OperationBound bound = await _connection
            .BeginAsync(_connection.Pool.Options.StatementTimeout, token).ConfigureAwait(false);
        _ended = true;
        return bound;
    }

    private async ValueTask EndAsync(Task end, OperationBound bound, CancellationToken token)
    {
        try
        {
            await _connection.RunAsync(end, bound, token).ConfigureAwait(false);
        }
        catch
        {
            // The server's answer was no: the transaction is still there, for a rollback or a dispose to end.
            _ended = !bound.IsHeld;
            throw;
        }

        // Only now: until the driver has let go of it the recovery must know of it.
        if (ReferenceEquals(bound.Physical.Transaction, _inner)) bound.Physical.Transaction = null;
    }

    /// <summary>Whether a commit that was sent was not plainly refused.</summary>
    private bool IsUnknown(Exception exception, OperationBound bound) =>
        !IsAnswered(exception, bound) || !_connection.Pool.Connector.IsCommitRefused(exception);

    /// <summary>Whether the answer was seen: neither severed, nor was the connection lost.</summary>
    private bool IsAnswered(Exception exception, OperationBound bound) =>
        bound.IsHeld && _connection.Pool.Connector.Classify(exception) != DriverFailure.Connection;
}
