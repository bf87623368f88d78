using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// Rows read over a rented connection. When closing it returns, command and parameters are the caller's alone.
/// </summary>
/// <remarks>
/// <para>Closed asynchronously, it reads on to the end, so that output values are there and a script is done; that ends
/// by the deadline, as all reading does. To leave a long result early, close the connection first. Closed
/// synchronously, it goes over what has arrived, at most 5 ms, and does not wait: output values that have not arrived
/// stay unset, and the rest is skipped on the pool's own time, or before the connection's next statement.</para>
/// <para>An error among the rows that were skipped is thrown by the connection's next operation, a commit included,
/// when a transaction is open or the error has rolled one back; the connection is severed then. Outside a transaction
/// it is not heard.</para>
/// <para>Of a script whose reader is closed synchronously, what the server has not done 5 ms after the connection was
/// closed is ended there, and never takes effect.</para>
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

    /// <summary>Whether it is not closed, and its connection has not been closed or opened anew.</summary>
    internal bool IsOpen => !_closed && _bound.IsHeld;

    /// <summary>The driver's reader, as long as the connection is still this caller's.</summary>
    private DbDataReader Inner
    {
        get
        {
            ThrowIfClosed();

            // By the rent it was opened in, not by the session: the driver has one reader object for each session,
            // which by now may hold the next renter's rows (INV-3).
            if (_bound.IsHeld) return _inner;

            _ = _connection.Physical;
            throw new InvalidOperationException("The reader was opened in an earlier rent of this connection.");
        }
    }

    // The connection's deadline may have been set since the command was executed.
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
        // Rows that have arrived are read without a wait, so nothing else would notice; the clock is not read for each.
        if (token.IsCancellationRequested) throw _connection.SeverBetween(_bound, OperationEnd.Cancelled, token);
        if ((++_advances & 63) == 0 && Bound.Deadline.HasPassed(_connection.Pool.Clock))
            throw _connection.SeverBetween(_bound, OperationEnd.Deadline, token);
    }

    /// <summary>Claims the session for one step, when it is still this reader's rent.</summary>
    private OperationBound Claim()
    {
        // In this order; see Operation.
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
            // The driver may throw at the call, before there is a task: the claim must not be lost.
            bound.Release();
            throw;
        }

        // The next row is mostly in the buffer already.
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

        // Output values stand behind a result; the value of a function is its first row.
        _statement.Advance(_running);
    }
}
