using System.Data;
using System.Data.Common;
using System.Globalization;

using UPool.Core;

namespace UPool;

/// <summary>Creates the statements that write a data set's changes.</summary>
internal sealed class PooledCommandBuilder : DbCommandBuilder
{
    private readonly IConnector _connector;
    private readonly string _quote;

    public PooledCommandBuilder(IConnector connector)
    {
        _connector = connector;
        _quote = connector.Dialect == SqlDialect.MySql ? "`" : "\"";
        QuotePrefix = _quote;
        QuoteSuffix = _quote;
    }

    public override string QuoteIdentifier(string unquotedIdentifier) =>
        _quote + unquotedIdentifier.Replace(_quote, _quote + _quote, StringComparison.Ordinal) + _quote;

    public override string UnquoteIdentifier(string quotedIdentifier)
    {
        string inner = quotedIdentifier.Length > 1
            && quotedIdentifier.StartsWith(_quote, StringComparison.Ordinal)
            && quotedIdentifier.EndsWith(_quote, StringComparison.Ordinal)
                ? quotedIdentifier[1..^1]
                : quotedIdentifier;
        return inner.Replace(_quote + _quote, _quote, StringComparison.Ordinal);
    }

    protected override void ApplyParameterInfo(
        DbParameter parameter, DataRow row, StatementType statementType, bool whereClause) =>
        _connector.ApplyColumnType(parameter, row);

    protected override string GetParameterName(int parameterOrdinal) =>
        string.Create(CultureInfo.InvariantCulture, $"@p{parameterOrdinal}");

    protected override string GetParameterName(string parameterName) => "@" + parameterName;

    protected override string GetParameterPlaceholder(int parameterOrdinal) => GetParameterName(parameterOrdinal);

    protected override void SetRowUpdatingHandler(DbDataAdapter adapter)
    {
        if (adapter is not PooledDataAdapter pooled)
            throw new ArgumentException("A command builder of the pool takes an adapter of the pool.", nameof(adapter));

        if (ReferenceEquals(adapter, DataAdapter)) pooled.RowUpdating -= OnRowUpdating;
        else pooled.RowUpdating += OnRowUpdating;
    }

    private void OnRowUpdating(object? sender, RowUpdatingEventArgs row) => RowUpdatingHandler(row);
}
