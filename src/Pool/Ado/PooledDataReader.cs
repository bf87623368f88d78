using System.Collections;
using System.Data;
using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// Rows read over a rented connection. Closing it sends nothing: rows that were not read are skipped on the pool's own
/// time, or before the connection's next statement.
/// </summary>
/// <remarks>
/// <para>An error among the rows that were skipped is thrown by the connection's next operation, a commit included,
/// when a transaction is open or the error has rolled one back; the connection is severed then. Outside a transaction
/// it is not heard.</para>
/// <para>Of a script of several statements, read all results by <c>NextResultAsync</c> before the connection is closed,
/// or execute it by <c>ExecuteNonQueryAsync</c>: what the server has not done 5 ms after the close is ended there, and
/// never takes effect.</para>
/// </remarks>
public sealed class PooledDataReader : DbDataReader
{
    private readonly PooledConnection _connection;
    private readonly OperationBound _bound;
    private readonly DbDataReader _inner;
    private readonly ScriptKind _kind;
    private readonly bool _closesConnection;
    private int _advances;
    private bool _resultReadToEnd;
    private bool _readToEnd;
    private int _recordsAffected = -1;
    private bool _closed;

    internal PooledDataReader(
        PooledConnection connection, OperationBound bound, DbDataReader inner, ScriptKind kind, bool closesConnection)
    {
        _connection = connection;
        _bound = bound;
        _inner = inner;
        _kind = kind;
        _closesConnection = closesConnection;
        bound.Physical.Reader = inner;
    }

    /// <inheritdoc/>
    public override int Depth => Inner.Depth;

    /// <inheritdoc/>
    public override int FieldCount => Inner.FieldCount;

    /// <inheritdoc/>
    public override int VisibleFieldCount => Inner.VisibleFieldCount;

    /// <inheritdoc/>
    public override bool HasRows => Inner.HasRows;

    /// <inheritdoc/>
    public override bool IsClosed => _closed;

    /// <inheritdoc/>
    public override int RecordsAffected => !_closed && _bound.IsHeld ? _inner.RecordsAffected : _recordsAffected;

    /// <inheritdoc/>
    public override object this[int ordinal] => Inner[ordinal];

    /// <inheritdoc/>
    public override object this[string name] => Inner[name];

    /// <summary>The driver's reader, as long as the connection is still this caller's.</summary>
    private DbDataReader Inner
    {
        get
        {
            ObjectDisposedException.ThrowIf(_closed, this);

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
    public override Task<bool> ReadAsync(CancellationToken cancellationToken)
    {
        ThrowIfTimeIsUp(cancellationToken);
        OperationBound bound = Claim();
        return AdvanceAsync(_inner.ReadAsync(CancellationToken.None), isRow: true, bound, cancellationToken);
    }

    /// <inheritdoc/>
    public override Task<bool> NextResultAsync(CancellationToken cancellationToken)
    {
        ThrowIfTimeIsUp(cancellationToken);
        OperationBound bound = Claim();
        return AdvanceAsync(_inner.NextResultAsync(CancellationToken.None), isRow: false, bound, cancellationToken);
    }

    /// <inheritdoc/>
    public override bool Read()
    {
        _connection.ThrowUnlessSynchronous("ReadAsync");
        return ReadAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override bool NextResult()
    {
        _connection.ThrowUnlessSynchronous("NextResultAsync");
        return NextResultAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override void Close()
    {
        if (_closed) return;

        _closed = true;

        // In this order; see Operation. What is in flight ends with the connection.
        PhysicalConnection physical = _bound.Physical;
        long seen = physical.Operation.CurrentRun;
        if (!_bound.IsHeld) return;

        _recordsAffected = _inner.RecordsAffected;
        if (physical.Operation.TryClaim(seen, out long run))
        {
            CloseInner(physical);
            physical.Operation.Release(run);
        }

        if (_closesConnection) _connection.Close();
    }

    /// <inheritdoc/>
    public override bool GetBoolean(int ordinal) => Inner.GetBoolean(ordinal);

    /// <inheritdoc/>
    public override byte GetByte(int ordinal) => Inner.GetByte(ordinal);

    /// <inheritdoc/>
    public override long GetBytes(int ordinal, long dataOffset, byte[]? buffer, int bufferOffset, int length) =>
        Inner.GetBytes(ordinal, dataOffset, buffer, bufferOffset, length);

    /// <inheritdoc/>
    public override char GetChar(int ordinal) => Inner.GetChar(ordinal);

    /// <inheritdoc/>
    public override long GetChars(int ordinal, long dataOffset, char[]? buffer, int bufferOffset, int length) =>
        Inner.GetChars(ordinal, dataOffset, buffer, bufferOffset, length);

    /// <inheritdoc/>
    public override string GetDataTypeName(int ordinal) => Inner.GetDataTypeName(ordinal);

    /// <inheritdoc/>
    public override DateTime GetDateTime(int ordinal) => Inner.GetDateTime(ordinal);

    /// <inheritdoc/>
    public override decimal GetDecimal(int ordinal) => Inner.GetDecimal(ordinal);

    /// <inheritdoc/>
    public override double GetDouble(int ordinal) => Inner.GetDouble(ordinal);

    /// <inheritdoc/>
    public override IEnumerator GetEnumerator() => new DbEnumerator(this, closeReader: false);

    /// <inheritdoc/>
    public override Type GetFieldType(int ordinal) => Inner.GetFieldType(ordinal);

    /// <inheritdoc/>
    public override T GetFieldValue<T>(int ordinal) => Inner.GetFieldValue<T>(ordinal);

    /// <inheritdoc/>
    public override float GetFloat(int ordinal) => Inner.GetFloat(ordinal);

    /// <inheritdoc/>
    public override Guid GetGuid(int ordinal) => Inner.GetGuid(ordinal);

    /// <inheritdoc/>
    public override short GetInt16(int ordinal) => Inner.GetInt16(ordinal);

    /// <inheritdoc/>
    public override int GetInt32(int ordinal) => Inner.GetInt32(ordinal);

    /// <inheritdoc/>
    public override long GetInt64(int ordinal) => Inner.GetInt64(ordinal);

    /// <inheritdoc/>
    public override string GetName(int ordinal) => Inner.GetName(ordinal);

    /// <inheritdoc/>
    public override int GetOrdinal(string name) => Inner.GetOrdinal(name);

    /// <inheritdoc/>
    public override DataTable? GetSchemaTable() => Inner.GetSchemaTable();

    /// <inheritdoc/>
    public override Stream GetStream(int ordinal) => Inner.GetStream(ordinal);

    /// <inheritdoc/>
    public override string GetString(int ordinal) => Inner.GetString(ordinal);

    /// <inheritdoc/>
    public override TextReader GetTextReader(int ordinal) => Inner.GetTextReader(ordinal);

    /// <inheritdoc/>
    public override object GetValue(int ordinal) => Inner.GetValue(ordinal);

    /// <inheritdoc/>
    public override int GetValues(object[] values) => Inner.GetValues(values);

    /// <inheritdoc/>
    public override bool IsDBNull(int ordinal) => Inner.IsDBNull(ordinal);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) Close();
        base.Dispose(disposing);
    }

    private void CloseInner(PhysicalConnection physical)
    {
        if (!_readToEnd)
        {
            // Most have one result: the driver knows without a wait whether another follows the one that was read.
            Task<bool>? next = _resultReadToEnd ? _inner.NextResultAsync(CancellationToken.None) : null;
            if (next is not { IsCompletedSuccessfully: true } || next.GetAwaiter().GetResult())
            {
                physical.SkipRows(_inner, next);
                return;
            }
        }

        // Nothing is left to be read.
        physical.Reader = null;
        Task closing = _inner.DisposeAsync().AsTask();
        if (!closing.IsCompletedSuccessfully) physical.Lingering = closing;
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

    private Task<bool> AdvanceAsync(Task<bool> advance, bool isRow, OperationBound bound, CancellationToken token)
    {
        // The next row is mostly in the buffer already.
        if (!advance.IsCompletedSuccessfully) return AdvanceSlowlyAsync(advance, isRow, bound, token);

        NoteAdvance(advance.GetAwaiter().GetResult(), isRow);
        bound.Release();
        return advance;
    }

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
            Script.NoteFailure(exception, bound, _kind, _connection.Pool.Connector);
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
        if (!isRow) _readToEnd = !advanced;
    }
}
