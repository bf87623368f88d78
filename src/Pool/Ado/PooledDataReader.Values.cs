using System.Collections;
using System.Collections.ObjectModel;
using System.Data;
using System.Data.Common;

namespace UPool;

/// <content>The values of the current row and the description of its columns.</content>
public sealed partial class PooledDataReader
{
    /// <inheritdoc/>
    public override int Depth => Inner.Depth;

    /// <inheritdoc/>
    public override int FieldCount => Inner.FieldCount;

    /// <inheritdoc/>
    public override int VisibleFieldCount => Inner.VisibleFieldCount;

    /// <inheritdoc/>
    public override object this[int ordinal] => Row[ordinal];

    /// <inheritdoc/>
    public override object this[string name] => Row[name];

    /// <inheritdoc/>
    public override bool GetBoolean(int ordinal) => Row.GetBoolean(ordinal);

    /// <inheritdoc/>
    public override byte GetByte(int ordinal) => Row.GetByte(ordinal);

    /// <inheritdoc/>
    public override long GetBytes(int ordinal, long dataOffset, byte[]? buffer, int bufferOffset, int length) =>
        Row.GetBytes(ordinal, dataOffset, buffer, bufferOffset, length);

    /// <inheritdoc/>
    public override char GetChar(int ordinal) => Row.GetChar(ordinal);

    /// <inheritdoc/>
    public override long GetChars(int ordinal, long dataOffset, char[]? buffer, int bufferOffset, int length) =>
        Row.GetChars(ordinal, dataOffset, buffer, bufferOffset, length);

    /// <inheritdoc/>
    public override string GetDataTypeName(int ordinal) => Inner.GetDataTypeName(ordinal);

    /// <inheritdoc/>
    public override DateTime GetDateTime(int ordinal) => Row.GetDateTime(ordinal);

    /// <inheritdoc/>
    public override decimal GetDecimal(int ordinal) => Row.GetDecimal(ordinal);

    /// <inheritdoc/>
    public override double GetDouble(int ordinal) => Row.GetDouble(ordinal);

    /// <inheritdoc/>
    public override IEnumerator GetEnumerator() => new DbEnumerator(this, closeReader: false);

    /// <inheritdoc/>
    public override Type GetFieldType(int ordinal) => Inner.GetFieldType(ordinal);

    /// <inheritdoc/>
    public override T GetFieldValue<T>(int ordinal) => Row.GetFieldValue<T>(ordinal);

    /// <inheritdoc/>
    public override float GetFloat(int ordinal) => Row.GetFloat(ordinal);

    /// <inheritdoc/>
    public override Guid GetGuid(int ordinal) => Row.GetGuid(ordinal);

    /// <inheritdoc/>
    public override short GetInt16(int ordinal) => Row.GetInt16(ordinal);

    /// <inheritdoc/>
    public override int GetInt32(int ordinal) => Row.GetInt32(ordinal);

    /// <inheritdoc/>
    public override long GetInt64(int ordinal) => Row.GetInt64(ordinal);

    /// <inheritdoc/>
    public override string GetName(int ordinal) => Inner.GetName(ordinal);

    /// <inheritdoc/>
    public override int GetOrdinal(string name) => Inner.GetOrdinal(name);

    /// <inheritdoc/>
    public override DataTable? GetSchemaTable() => Inner.GetSchemaTable();

    /// <inheritdoc/>
    public override Stream GetStream(int ordinal) => Row.GetStream(ordinal);

    /// <inheritdoc/>
    public override string GetString(int ordinal) => Row.GetString(ordinal);

    /// <inheritdoc/>
    public override TextReader GetTextReader(int ordinal) => Row.GetTextReader(ordinal);

    /// <inheritdoc/>
    public override object GetValue(int ordinal) => Row.GetValue(ordinal);

    /// <inheritdoc/>
    public override int GetValues(object[] values) => Row.GetValues(values);

    /// <inheritdoc/>
    public override bool IsDBNull(int ordinal) => Row.IsDBNull(ordinal);

    /// <summary>The columns of the current result, as the driver describes them.</summary>
    public ReadOnlyCollection<DbColumn> GetColumnSchema() => Inner.GetColumnSchema();

    /// <inheritdoc/>
    public override Task<ReadOnlyCollection<DbColumn>> GetColumnSchemaAsync(
        CancellationToken cancellationToken = default) => cancellationToken.IsCancellationRequested
            ? Task.FromCanceled<ReadOnlyCollection<DbColumn>>(cancellationToken)
            : Task.FromResult(GetColumnSchema());
}
