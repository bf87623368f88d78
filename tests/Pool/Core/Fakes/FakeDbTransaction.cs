using System.Data;
using System.Data.Common;

namespace UPool.Tests.Fakes;

internal sealed class FakeDbTransaction(FakeDbConnection connection, IsolationLevel level) : DbTransaction
{
    public override IsolationLevel IsolationLevel => level;

    public override bool SupportsSavepoints => true;

    protected override DbConnection DbConnection => connection;

    public override async Task CommitAsync(CancellationToken cancellationToken = default)
    {
        await connection.CallAsync(Step.Commit);
        connection.EndServerTransaction(commit: true);
        connection.Transaction = null;
    }

    public override async Task RollbackAsync(CancellationToken cancellationToken = default)
    {
        await connection.CallAsync(Step.Rollback);
        connection.EndServerTransaction(commit: false);
        connection.Transaction = null;
    }

    public override Task SaveAsync(string savepointName, CancellationToken cancellationToken = default) =>
        connection.CallAsync(Step.Statement);

    public override async ValueTask DisposeAsync()
    {
        if (connection.State == ConnectionState.Open && ReferenceEquals(connection.Transaction, this))
            await RollbackAsync();
        await base.DisposeAsync();
    }

    public override void Commit() => throw new NotSupportedException();

    public override void Rollback() => throw new NotSupportedException();
}
