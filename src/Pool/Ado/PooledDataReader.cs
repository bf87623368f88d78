using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// Rows read over a rented connection. Once a close has returned, nothing but the caller uses the command and its
/// parameters.
/// </summary>
/// <remarks>
/// <para>An asynchronous close reads to the end, so that output values are set and a script is complete; like all
/// reading, it ends by the deadline. To leave a long result early, close the connection first. A synchronous close
/// skips the data that has arrived, for at most 5 ms, and does not wait: output values that have not arrived stay
/// unset, and the pool skips the rest in the background or before the connection's next statement.</para>
/// <para>If a skipped row holds an error, and a transaction is open or the error has rolled one back, the connection's
/// next operation (including a commit) throws the error and the connection is severed. Outside a transaction the error
/// is dropped.</para>
/// <para>After a synchronous close of a script's reader, statements that the server has not executed 5 ms after the
/// connection was closed are cancelled there and never take effect.</para>
/// </remarks>
public sealed partial class PooledDataReader : DbDataReader, IDbColumnSchemaGenerator
{
    private readonly IStatement _statement;
    private readonly object? _running;
    private readonly PooledConnection _connection;
    private readonly OperationBound _bound;
    private readonly DbDataReader _inner;
    private readonly string? _text;
    private readonly bool _closesConnection;
    private int _advances;
    private bool _resultReadToEnd;
    private bool _readToEnd;
    private int _recordsAffected = -1;
    private bool _closed;

    internal PooledDataReader(
        IStatement statement, OperationBound bound, DbDataReader inner, bool closesConnection)
    {
        _statement = statement;
        _running = statement.Running;
        _connection = statement.Scope.Required;
        _bound = bound;
        _inner = inner;
        _text = Script.TextOf(statement);
        _closesConnection = closesConnection;
        bound.Physical.Reader = inner;
    }

    /// <inheritdoc/>
    public override bool IsClosed => _closed;

    /// <inheritdoc/>
    public override int RecordsAffected => IsOpen ? _inner.RecordsAffected : _recordsAffected;

    /// <summary>Whether the reader is open, and its connection has been neither closed nor reopened.</summary>
    internal bool IsOpen => !_closed && _bound.IsHeld;

    /// <summary>The driver's reader, while the caller still holds the connection.</summary>
    private DbDataReader Inner
    {
        get
        {
            ThrowIfClosed();

            // Check the rent in which it was opened, not the session: the driver has one reader object for each
            // session, which may now hold the next renter's rows (INV-3).
            if (_bound.IsHeld) return _inner;

            _ = _connection.Physical;
            throw new InvalidOperationException("The reader was opened in an earlier rent of this connection.");
        }
    }

    // The connection's deadline may have changed since the command was executed.
    private OperationBound Bound =>
        _bound with { Deadline = Deadline.Earlier(_bound.Deadline, _connection.Deadline) };

    /// <inheritdoc/>
    public override Task<bool> ReadAsync(CancellationToken cancellationToken) =>
        AdvanceAsync(isRow: true, cancellationToken);

    /// <inheritdoc/>
    public override Task<bool> NextResultAsync(CancellationToken cancellationToken) =>
        AdvanceAsync(isRow: false, cancellationToken);

    private Task<bool> AdvanceAsync(bool isRow, CancellationToken token)
    {
        try
        {
            if (_ahead is not null) return TakeAhead(isRow, token);

            ThrowIfTimeIsUp(token);
            return AdvanceAsync(isRow, Claim(), token);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            return Task.FromCanceled<bool>(token);
        }
        catch (Exception exception)
        {
            return Task.FromException<bool>(exception);
        }
    }

    private void ThrowIfClosed()
    {
        if (_closed) throw new InvalidOperationException("The reader is closed.");
    }

    private void ThrowIfTimeIsUp(CancellationToken token)
    {
        // Rows that have arrived are read without a wait, so only this check notices. It reads the clock once every 64
        // steps.
        if (token.IsCancellationRequested) throw _connection.SeverBetween(_bound, OperationEnd.Cancelled, token);
        if ((++_advances & 63) == 0 && Bound.Deadline.HasPassed(_connection.Pool.Clock))
            throw _connection.SeverBetween(_bound, OperationEnd.Deadline, token);
    }

    /// <summary>Claims the session for one step, if this reader's rent still holds it.</summary>
    private OperationBound Claim()
    {
        // Read the run before the rent; see Operation.
        Operation operation = _bound.Physical.Operation;
        long seen = operation.CurrentRun;
        _ = Inner;
        OperationBound bound = Bound with { Run = operation.Claim(seen) };
        if (bound.IsHeld) return bound;

        bound.Release();
        _ = Inner;
        return bound;
    }

    private Task<bool> AdvanceAsync(bool isRow, OperationBound bound, CancellationToken token)
    {
        Task<bool> advance;
        try
        {
            advance = StartStep(isRow);
        }
        catch
        {
            // The driver may throw before it returns a task: release the claim.
            bound.Release();
            throw;
        }

        // Usually the next row is already in the buffer.
        if (!advance.IsCompletedSuccessfully) return AdvanceSlowlyAsync(advance, isRow, bound, token);

        NoteAdvance(advance.GetAwaiter().GetResult(), isRow);
        bound.Release();
        return advance;
    }

    private Task<bool> StartStep(bool isRow) =>
        isRow ? _inner.ReadAsync(CancellationToken.None) : _inner.NextResultAsync(CancellationToken.None);

    private async Task<bool> AdvanceSlowlyAsync(
        Task<bool> advance, bool isRow, OperationBound bound, CancellationToken token)
    {
        try
        {
            bool advanced = await _connection.RunAsync(advance, bound, token).ConfigureAwait(false);
            NoteAdvance(advanced, isRow);
            return advanced;
        }
        catch (DbException exception)
        {
            Script.NoteFailure(exception, bound, _text, _connection.Pool.Connector);
            throw;
        }
        finally
        {
            bound.Release();
        }
    }

    private void NoteAdvance(bool advanced, bool isRow)
    {
        _resultReadToEnd = !advanced;
        if (isRow)
        {
            if (_hasRows is not null) return;

            _hasRows = advanced;
        }
        else
        {
            _hasRows = null;
            _readToEnd = !advanced;
        }

        // Output values follow a result; a function's value is its first row.
        _statement.Advance(_running);
    }
}
