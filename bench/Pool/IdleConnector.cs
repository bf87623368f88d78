using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool.Bench.Pool;

/// <summary>A driver whose sessions do nothing, so that only the pool is measured.</summary>
internal sealed class IdleConnector : IConnector
{
    public SqlDialect Dialect => SqlDialect.MySql;

    public string Target => "nowhere";

    public string ConnectionString => "";

    public string DataSource => Target;

    public string Database => "";

    public DbProviderFactory DriverFactory => throw new NotSupportedException();

    public string? Problem => null;

    public event Action? ProblemFound
    {
        add { }
        remove { }
    }

    public Task<PhysicalConnection> OpenAsync() => Task.FromResult<PhysicalConnection>(new Session());

    public ICandidate Prepare(string connectionString) => throw new NotSupportedException();

    public DbCommand CreateCommand() => throw new NotSupportedException();

    public DbBatch? CreateBatch() => null;

    public DbCommand CopyCommand(DbCommand command) => throw new NotSupportedException();

    public DbBatch CopyBatch(DbBatch batch) => throw new NotSupportedException();

    public long LastInsertedId(DbCommand command) => 0;

    public void ApplyColumnType(DbParameter parameter, DataRow column) => throw new NotSupportedException();

    public DriverFailure Classify(Exception exception) => DriverFailure.None;

    public bool IsCommitRefused(Exception exception) => false;

    public bool MayMeetAnyStatement(Exception exception) => false;

    public string Explain(Exception exception) => exception.Message;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class Session : PhysicalConnection
    {
        public override DbConnection Inner { get; } = new OpenConnection();

        public override bool CanKill => true;

        public override Task PingAsync() => Task.CompletedTask;

        public override Task ResetAsync() => Task.CompletedTask;

        public override Task<bool> IsInTransactionAsync() => Task.FromResult(false);

        public override Task MarkTransactionAsync() => Task.CompletedTask;

        public override Task<bool> TakeMarkAsync() => Task.FromResult(false);

        public override Task KillStatementAsync() => Task.CompletedTask;

        public override Task CloseAsync() => Task.CompletedTask;
    }

    private sealed class OpenConnection : DbConnection
    {
        [AllowNull]
        public override string ConnectionString { get; set; } = "";

        public override string Database => "";

        public override string DataSource => "";

        public override string ServerVersion => "";

        public override ConnectionState State => ConnectionState.Open;

        public override void ChangeDatabase(string databaseName) => throw new NotSupportedException();

        public override void Close()
        {
        }

        public override void Open()
        {
        }

        protected override DbTransaction BeginDbTransaction(IsolationLevel isolationLevel) =>
            throw new NotSupportedException();

        protected override DbCommand CreateDbCommand() => throw new NotSupportedException();
    }
}
