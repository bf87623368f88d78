using System.Data;
using System.Data.Common;

using MySqlConnector;

namespace UPool.Tests.Fakes;

internal sealed class FakeDbBatch : DbBatch
{
    // The driver's own class, because a command list is much code; it is never executed.
    private readonly MySqlBatch _commands = new();

    public override int Timeout { get; set; }

    protected override DbBatchCommandCollection DbBatchCommands => _commands.BatchCommands;

    protected override DbConnection? DbConnection { get; set; }

    protected override DbTransaction? DbTransaction { get; set; }

    private FakeDbConnection Fake => (FakeDbConnection)DbConnection!;

    public override async Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken = default)
    {
        await Fake.StatementAsync("batch", DbTransaction, cancellationToken);
        return 1;
    }

    public override async Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken = default)
    {
        await Fake.StatementAsync("batch", DbTransaction, cancellationToken);
        return Fake.Id;
    }

    protected override async Task<DbDataReader> ExecuteDbDataReaderAsync(
        CommandBehavior behavior, CancellationToken cancellationToken)
    {
        await Fake.StatementAsync("batch", DbTransaction, cancellationToken);
        return Fake.Reader = new FakeDbDataReader(Fake);
    }

    public override void Cancel() => Fake.Server.Violate("the driver's Cancel was used");

    public override int ExecuteNonQuery() => throw new NotSupportedException();

    public override object? ExecuteScalar() => throw new NotSupportedException();

    public override void Prepare() => throw new NotSupportedException();

    public override Task PrepareAsync(CancellationToken cancellationToken = default) =>
        throw new NotSupportedException();

    protected override DbBatchCommand CreateDbBatchCommand() => new MySqlBatchCommand();

    protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior) => throw new NotSupportedException();
}
