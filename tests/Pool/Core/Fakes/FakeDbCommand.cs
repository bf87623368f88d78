using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using MySqlConnector;

namespace UPool.Tests.Fakes;

internal sealed class FakeDbCommand : DbCommand
{
    [AllowNull]
    public override string CommandText { get; set; } = "";

    public override int CommandTimeout { get; set; }

    public override CommandType CommandType { get; set; } = CommandType.Text;

    public override bool DesignTimeVisible { get; set; }

    public override UpdateRowSource UpdatedRowSource { get; set; }

    protected override DbConnection? DbConnection { get; set; }

    // The driver's own class, as in FakeDbBatch.
    protected override DbParameterCollection DbParameterCollection { get; } = new MySqlCommand().Parameters;

    protected override DbTransaction? DbTransaction { get; set; }

    private FakeDbConnection Fake => (FakeDbConnection)DbConnection!;

    public override async Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken)
    {
        await Fake.StatementAsync(CommandText, DbTransaction, cancellationToken);
        return 1;
    }

    public override async Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken)
    {
        await Fake.StatementAsync(CommandText, DbTransaction, cancellationToken);
        return Fake.Id;
    }

    protected override async Task<DbDataReader> ExecuteDbDataReaderAsync(
        CommandBehavior behavior, CancellationToken cancellationToken)
    {
        FakeDbConnection connection = Fake;
        if (behavior.HasFlag(CommandBehavior.CloseConnection))
            connection.Server.Violate("the driver was asked to close the session");
        await connection.StatementAsync(CommandText, DbTransaction, cancellationToken);
        return connection.Reader = new FakeDbDataReader(connection);
    }

    public override void Cancel() => Fake.Server.Violate("the driver's Cancel was used");

    public override int ExecuteNonQuery() => throw new NotSupportedException();

    public override object? ExecuteScalar() => throw new NotSupportedException();

    public override void Prepare() => throw new NotSupportedException();

    protected override DbParameter CreateDbParameter() => new MySqlParameter();

    protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior) => throw new NotSupportedException();
}
