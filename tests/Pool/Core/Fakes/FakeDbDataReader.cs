using System.Collections;
using System.Data.Common;

using UPool.Core;

namespace UPool.Tests.Fakes;

/// <summary>Results whose rows contain their own number. Only the members that tests need are implemented.</summary>
internal sealed class FakeDbDataReader(FakeDbConnection connection) : DbDataReader
{
    private int _row;
    private int _result = 1;
    private bool _closed;

    public override int Depth => 0;

    public override int FieldCount => 1;

    public override bool HasRows => connection.Server.Rows > 0;

    public override bool IsClosed => _closed;

    public override int RecordsAffected => -1;

    public override object this[int ordinal] => _row;

    public override object this[string name] => _row;

    public override Task<bool> ReadAsync(CancellationToken cancellationToken) =>
        AdvanceAsync(Step.Row, () => ++_row <= connection.Server.Rows, cancellationToken);

    public override Task<bool> NextResultAsync(CancellationToken cancellationToken) =>
        AdvanceAsync(Step.NextResult, () =>
        {
            _row = 0;
            return ++_result <= connection.Server.Results;
        }, cancellationToken);

    public override async ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            try
            {
                if (_result <= connection.Server.Results) await connection.CallAsync(Step.CloseReader);
            }
            catch (FakeDbException exception) when (exception.Kind != DriverFailure.Connection)
            {
                // As the real one, which swallows the error.
            }
            finally
            {
                if (ReferenceEquals(connection.Reader, this)) connection.Reader = null;
            }
        }

        await base.DisposeAsync();
    }

    public override int GetInt32(int ordinal) => _row;

    public override int GetValues(object[] values)
    {
        values[0] = _row;
        return 1;
    }

    public override string GetDataTypeName(int ordinal) => "INT";

    public override object GetValue(int ordinal) => _row;

    public override string GetName(int ordinal) => "n";

    public override int GetOrdinal(string name) => 0;

    public override bool IsDBNull(int ordinal) => false;

    public override Type GetFieldType(int ordinal) => typeof(int);

    public override bool Read() => throw new NotSupportedException();

    public override bool NextResult() => throw new NotSupportedException();

    public override bool GetBoolean(int ordinal) => throw new NotSupportedException();

    public override byte GetByte(int ordinal) => throw new NotSupportedException();

    public override long GetBytes(int ordinal, long dataOffset, byte[]? buffer, int bufferOffset, int length) =>
        throw new NotSupportedException();

    public override char GetChar(int ordinal) => throw new NotSupportedException();

    public override long GetChars(int ordinal, long dataOffset, char[]? buffer, int bufferOffset, int length) =>
        throw new NotSupportedException();

    public override DateTime GetDateTime(int ordinal) => throw new NotSupportedException();

    public override decimal GetDecimal(int ordinal) => throw new NotSupportedException();

    public override double GetDouble(int ordinal) => throw new NotSupportedException();

    public override IEnumerator GetEnumerator() => throw new NotSupportedException();

    public override float GetFloat(int ordinal) => throw new NotSupportedException();

    public override Guid GetGuid(int ordinal) => throw new NotSupportedException();

    public override short GetInt16(int ordinal) => throw new NotSupportedException();

    public override long GetInt64(int ordinal) => throw new NotSupportedException();

    public override string GetString(int ordinal) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_closed) connection.Server.Violate("the driver's reader was closed synchronously");
        base.Dispose(disposing);
    }

    // Data that has already arrived is returned synchronously, as by the driver.
    private Task<bool> AdvanceAsync(Step step, Func<bool> advance, CancellationToken token)
    {
        if (token.CanBeCanceled) connection.Server.Violate("the driver saw a caller's token");
        if (connection.Server.ThrowAtTheCall) throw new NotSupportedException("at the call");

        Task call = connection.CallAsync(step);
        return call.IsCompletedSuccessfully ? Task.FromResult(advance()) : WaitAsync(call, advance);
    }

    private static async Task<bool> WaitAsync(Task call, Func<bool> advance)
    {
        await call;
        return advance();
    }
}
