using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Errors that may end a transaction, or look like it: what the server did counts, not the error
/// number.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class ServerErrorTests : OnSharedServer
{
    // Includes deadlock and lock wait timeout: raised by a trigger, they end nothing.
    [Theory]
    [InlineData(1180)]
    [InlineData(1181)]
    [InlineData(1197)]
    [InlineData(1205)]
    [InlineData(1213)]
    [InlineData(1317)]
    [InlineData(1402)]
    [InlineData(1614)]
    [InlineData(1637)]
    [InlineData(1792)]
    [InlineData(1820)]
    [InlineData(1862)]
    [InlineData(1969)]
    [InlineData(3024)]
    [InlineData(3100)]
    [InlineData(3101)]
    [InlineData(3955)]
    [InlineData(4150)]
    [InlineData(4166)]
    public async Task Commit_ErrorOfATriggerInTheTransaction_CommitsAll(int number)
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        var error = await Assert.ThrowsAsync<MySqlException>(
            () => ExecuteAsync(scene.Connection, $"UPDATE t SET v = {number} WHERE id = 1"));
        Assert.Equal(number, error.Number);
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        Assert.False(((PooledTransaction)scene.Transaction).MayHaveCommitted);
        await scene.Transaction.CommitAsync();
        Assert.Equal((2, 0), (await scene.CountAsync("id > 9"), await scene.CountAsync("v > 0")));
        Assert.Equal(1, scene.Pool.Snapshot().Opened);
    }

    // A procedure that stores a row and then fails with any number: in autocommit, no error may claim that nothing was
    // done.
    [Theory]
    [InlineData(1180)]
    [InlineData(1213)]
    [InlineData(1402)]
    [InlineData(1969)]
    [InlineData(3024)]
    [InlineData(3955)]
    [InlineData(4150)]
    public async Task Classify_ProcedureStoresAndFails_OutcomeIsUnknown(int number)
    {
        await using TransactionScene scene = await BeginAsync("SELECT 1");
        await ExecuteAsync(
            scene.Other,
            "CREATE PROCEDURE stores_and_fails() BEGIN INSERT INTO t VALUES (10, 0);"
            + $" SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}; END");
        var error = await Assert.ThrowsAsync<MySqlException>(
            () => ExecuteAsync(scene.Connection, "CALL stores_and_fails()"));
        Assert.Equal(number, error.Number);
        Assert.Equal(FailureKind.OutcomeUnknown, scene.Pool.Classify(error));
        Assert.Equal(1, await scene.CountAsync("id = 10"));
    }

    // The servers' time limits, for real.
    [Fact]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MySql)]
    public Task Commit_MaxExecutionTimeOnMySql_CommitsAll() => CommitAfterALimitAsync(
        3024,
        "SELECT /*+ MAX_EXECUTION_TIME(50) */ COUNT(*) FROM information_schema.columns a,"
        + " information_schema.columns b, information_schema.columns c");

    [Theory]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    [InlineData("SET STATEMENT max_statement_time = 0.05 FOR SELECT SLEEP(30)")]
    [InlineData("SET STATEMENT max_statement_time = 0.05 FOR UPDATE t SET v = SLEEP(30)")]
    [InlineData("SET max_statement_time = 0.05; SELECT SLEEP(30)")]
    public Task Commit_MaxStatementTimeOnMariaDb_CommitsAll(string statement) =>
        CommitAfterALimitAsync(1969, statement);

    // A commit that waits for a global read lock and is abandoned there: the server returns an error, or the pool
    // reports the outcome as unknown; the rollback then finds out.
    [Theory]
    [InlineData("SET lock_wait_timeout = 1", false)]
    [InlineData("SET lock_wait_timeout = 1", true)]
    public async Task Commit_GivenUpAtAGlobalLock_IsAnErrorAndNothingIsStored(string limit, bool byText) =>
        Assert.Equal(1205, await CommitAtAGlobalLockAsync(limit, byText, isKilled: false));

    [Theory]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_MaxStatementTimeAtAGlobalLockOnMariaDb_IsAnErrorAndNothingIsStored(bool byText) =>
        Assert.Equal(1969, await CommitAtAGlobalLockAsync("SET max_statement_time = 0.5", byText, isKilled: false));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_KilledAtAGlobalLock_IsAnErrorAndNothingIsStored(bool byText) =>
        Assert.Equal(1317, await CommitAtAGlobalLockAsync("SELECT 1", byText, isKilled: true));

    private async Task CommitAfterALimitAsync(int number, string statement)
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        var error = await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(scene.Connection, statement));
        Assert.Equal(number, error.Number);
        if (statement.StartsWith("SET max", StringComparison.Ordinal))
            await ExecuteAsync(scene.Connection, "SET max_statement_time = 0");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        await scene.Transaction.CommitAsync();
        Assert.Equal(2, await scene.CountAsync("id > 9"));
    }

    private static async Task<int> CommitAtAGlobalLockAsync(string limit, bool byText, bool isKilled)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        await using TransactionScene scene = await TransactionScene.BeginAsync(fixture, byText ? "BEGIN" : null);
        await using MySqlConnection root = await fixture.ObserveAsync(server.RootConnectionString);
        long id = await ScalarAsync(scene.Connection, "SELECT CONNECTION_ID()");
        await ExecuteAsync(scene.Connection, limit);
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(root, "FLUSH TABLES WITH READ LOCK");

        Task commit = byText ? ExecuteAsync(scene.Connection, "COMMIT") : scene.Transaction.CommitAsync();
        while (isKilled && !commit.IsCompleted)
        {
            await ExecuteAsync(root, $"KILL QUERY {id}");
            await Task.WhenAny(commit, Task.Delay(50, TestContext.Current.CancellationToken));
        }

        var failure = await Assert.ThrowsAnyAsync<DbException>(() => commit);
        int number = ((failure as MySqlException) ?? (MySqlException)failure.InnerException!).Number;
        FailureKind kind = scene.Pool.Classify(failure);
        if (number == 1205 && !byText) Assert.Equal(FailureKind.StatementFailed, kind);
        else Assert.Equal(FailureKind.OutcomeUnknown, kind);
        await ExecuteAsync(root, "UNLOCK TABLES");

        // If the server kept the transaction, it is rolled back, and the pool knows. Otherwise the outcome stays
        // unknown.
        try
        {
            if (byText) await ExecuteAsync(scene.Connection, "ROLLBACK");
            else await scene.Transaction.RollbackAsync();
            Assert.False(scene.Transaction is PooledTransaction { MayHaveCommitted: true });
        }
        catch (TransactionEndedException ended)
        {
            Assert.True(ended.MayHaveCommitted);
            Assert.NotEqual(1205, number);
        }

        Assert.Equal(0, await scene.CountAsync("id > 9"));
        return number;
    }

    private async Task<TransactionScene> BeginAsync(string? byText = null)
    {
        TransactionScene scene = await TransactionScene.BeginAsync(Fixture, byText);
        await ExecuteAsync(
            scene.Other,
            "CREATE TRIGGER fails BEFORE UPDATE ON t FOR EACH ROW BEGIN DECLARE n INT DEFAULT NEW.v;"
            + " IF n > 1000 THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = n; END IF; END");
        return scene;
    }
}
