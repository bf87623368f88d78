using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>The errors that a renter gets for a transaction that a real server has ended.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class EndedTransactionTests : OnSharedServer
{
    [Fact]
    public async Task Commit_DeadlockWasCaughtAndMoreWasWritten_IsAnErrorAndNothingIsStored()
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.LoseADeadlockAsync(() => ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 2"));

        var ended = await Assert.ThrowsAsync<TransactionEndedException>(
            () => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)"));
        Assert.False(ended.MayHaveCommitted);
        Assert.Equal(FailureKind.StatementFailed, scene.Pool.Classify(ended));
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.CommitAsync());
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.SaveAsync("s"));
        await scene.Transaction.RollbackAsync();
        Assert.Equal(0, await scene.CountAsync("id > 9"));

        // The connection still works.
        await using DbTransaction again = await scene.Connection.BeginTransactionAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (12, 0)");
        await again.CommitAsync();
        Assert.Equal(1, await scene.CountAsync("id = 12"));
        Assert.Equal(1, scene.Pool.Snapshot().Opened);
    }

    [Fact]
    public async Task Commit_DeadlockWasCaughtAndNothingMoreSent_IsAnErrorAndNothingIsStored()
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.LoseADeadlockAsync(() => ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 2"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.CommitAsync());
        Assert.Equal(0, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Commit_DeadlockAmongTheRowsOfAReader_IsAnErrorAndNothingIsStored()
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.LoseADeadlockAsync(async () =>
        {
            await using DbCommand command = scene.Connection.CreateCommand();
            command.CommandText = "SELECT 1; UPDATE t SET v = 1 WHERE id = 2";
            await using DbDataReader reader = await command.ExecuteReaderAsync();
            while (await reader.NextResultAsync())
            {
            }
        });
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.CommitAsync());
        Assert.Equal(0, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Commit_DeadlockWithASavepoint_IsAnErrorAndNothingIsStored()
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.Transaction.SaveAsync("s");
        await scene.LoseADeadlockAsync(() => ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 2"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.RollbackAsync("s"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.CommitAsync());
        Assert.Equal(0, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Commit_DeadlockInATransactionBegunByText_IsAnErrorAndNothingIsStored()
    {
        await using TransactionScene scene = await BeginAsync(byText: "/* mine */ START TRANSACTION");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.LoseADeadlockAsync(() => ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 2"));
        await Assert.ThrowsAsync<TransactionEndedException>(
            () => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => ExecuteAsync(scene.Connection, "COMMIT"));
        await ExecuteAsync(scene.Connection, "ROLLBACK");
        Assert.Equal(0, await scene.CountAsync("id > 9"));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (12, 0)");
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Commit_DeadlockWithoutAutocommit_IsAnErrorAndNothingIsStored()
    {
        await using TransactionScene scene = await BeginAsync(byText: "SET autocommit = 0");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.LoseADeadlockAsync(() => ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 2"));
        await Assert.ThrowsAsync<TransactionEndedException>(
            () => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => ExecuteAsync(scene.Connection, "COMMIT"));
        Assert.Equal(0, await scene.CountAsync("id > 9"));
    }

    // Errors that leave the transaction open: the work before and after them is committed.
    [Theory]
    [InlineData("INSERT INTO t VALUES (1, 0)", 1062)]
    [InlineData("INSERT INTO t VALUES (20, 0), (1, 0)", 1062)]
    [InlineData("INSERT INTO nowhere VALUES (1)", 1146)]
    [InlineData("SELEC 1", 1064)]
    [InlineData("INSERT INTO t VALUES (1, NULL)", 1048)]
    [InlineData("UPDATE t SET v = -1", 0)]
    [InlineData("SIGNAL SQLSTATE '45000'", 1644)]
    [InlineData("SELECT (SELECT id FROM t)", 1242)]
    [InlineData("ROLLBACK TO nowhere", 1305)]
    [InlineData("SET TRANSACTION READ ONLY", 1568)]
    [InlineData("CALL nowhere()", 1305)]
    [InlineData("EXECUTE nowhere", 1243)]
    [InlineData("CREATE TABLE", 1064)]
    [InlineData("KILL 999999999", 1094)]
    [InlineData("XA START 'x'", 1400)]
    public async Task Commit_ErrorThatKeepsTheTransaction_CommitsAll(string failing, int number)
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        var error = await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(scene.Connection, failing));
        if (number != 0) Assert.Equal(number, error.Number);
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        Assert.False(((PooledTransaction)scene.Transaction).MayHaveCommitted);
        await scene.Transaction.CommitAsync();
        Assert.Equal(2, await scene.CountAsync("id > 9"));
    }

    [Theory]
    [InlineData("SELECT id FROM t WHERE id = 1 FOR UPDATE NOWAIT")]
    [InlineData("UPDATE t SET v = 2 WHERE id = 1")]
    public async Task Commit_LockWaitGivenUp_CommitsAll(string waiting)
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "SET innodb_lock_wait_timeout = 1");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Other, "START TRANSACTION");
        await ExecuteAsync(scene.Other, "UPDATE t SET v = 2 WHERE id = 1");
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(scene.Connection, waiting));
        await scene.Transaction.CommitAsync();
        await ExecuteAsync(scene.Other, "ROLLBACK");
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Commit_StatementKilled_CommitsAll()
    {
        await using TransactionScene scene = await BeginAsync();
        long id = await ScalarAsync(scene.Connection, "SELECT CONNECTION_ID()");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Other, "START TRANSACTION");
        await ExecuteAsync(scene.Other, "UPDATE t SET v = 2 WHERE id = 1");
        Task waiting = ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 1");
        while (!waiting.IsCompleted)
        {
            await using MySqlConnection killer = await Fixture.ObserveAsync();
            await ExecuteAsync(killer, $"KILL QUERY {id}");
            await Task.WhenAny(waiting, Task.Delay(20, TestContext.Current.CancellationToken));
        }

        await Assert.ThrowsAsync<MySqlException>(() => waiting);
        await ExecuteAsync(scene.Other, "ROLLBACK");
        await scene.Transaction.CommitAsync();
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    // The same error keeps or rolls back the whole transaction, depending on the server's settings.
    [Theory]
    [InlineData("OFF")]
    [InlineData("ON")]
    public async Task Commit_LockWaitGivenUpAsTheServerIsSetUp_TellsWhatTheServerDid(string rollsBack)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(
            $"--innodb-rollback-on-timeout={rollsBack}", "--innodb-lock-wait-timeout=1");
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        PooledDataSource pool = fixture.CreatePool(o => o.RentTimeout = TimeSpan.FromSeconds(10));
        await using MySqlConnection other = await fixture.ObserveAsync();
        foreach (string table in TransactionScene.Tables) await ExecuteAsync(other, table);
        await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(other, "START TRANSACTION");
        await ExecuteAsync(other, "UPDATE t SET v = 2 WHERE id = 1");
        var error = await Assert.ThrowsAsync<MySqlException>(
            () => ExecuteAsync(connection, "UPDATE t SET v = 1 WHERE id = 1"));
        Assert.Equal(MySqlErrorCode.LockWaitTimeout, error.ErrorCode);
        if (rollsBack == "ON") await Assert.ThrowsAsync<TransactionEndedException>(() => transaction.CommitAsync());
        else await transaction.CommitAsync();
        await ExecuteAsync(other, "ROLLBACK");
        Assert.Equal(rollsBack == "ON" ? 0 : 1, await ScalarAsync(other, "SELECT COUNT(*) FROM t WHERE id > 9"));
    }

    // Statements that end the transaction implicitly, successfully or not. Neither later statements nor the commit are
    // sent.
    [Theory]
    [InlineData("CREATE TABLE x (id INT)")]
    [InlineData("CREATE TABLE IF NOT EXISTS t (id INT)")]
    [InlineData("CREATE TABLE t (id INT)")]
    [InlineData("DROP TABLE nowhere")]
    [InlineData("DROP TABLE nowhere; INSERT INTO t VALUES (12, 0)")]
    [InlineData("ALTER TABLE t COMMENT 'x'")]
    [InlineData("ALTER TABLE t ADD v INT")]
    [InlineData("/* x */ create view w as select 1")]
    [InlineData("ANALYZE TABLE t")]
    [InlineData("CHECK TABLE t")]
    [InlineData("RENAME TABLE nowhere TO x")]
    [InlineData("BEGIN")]
    [InlineData("START TRANSACTION")]
    [InlineData("COMMIT")]
    [InlineData("COMMIT AND CHAIN")]
    [InlineData("SELECT 1; COMMIT")]
    [InlineData("/*! COMMIT */")]
    [InlineData("CALL commits()")]
    [InlineData("CALL commits_and_begins()")]
    [InlineData("-- x\nCALL begins_and_fails()")]
    [InlineData("EXECUTE prepared")]
    [InlineData("SET autocommit = 0; SET autocommit = 1")]
    public async Task Commit_StatementThatEndedTheTransaction_IsAnErrorAndNothingMoreIsSent(string ending)
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "PREPARE prepared FROM 'COMMIT'");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        try
        {
            await ExecuteAsync(scene.Connection, ending);
        }
        catch (MySqlException)
        {
            // Some of them fail after they have committed.
        }

        var ended = await Assert.ThrowsAsync<TransactionEndedException>(
            () => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)"));
        Assert.True(ended.MayHaveCommitted);
        Assert.Equal(FailureKind.OutcomeUnknown, scene.Pool.Classify(ended));
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.CommitAsync());
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.RollbackAsync());
        Assert.True(((PooledTransaction)scene.Transaction).MayHaveCommitted);
        await ExecuteAsync(scene.Connection, "SELECT 1");
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    // Procedures and statements that could have ended it and did not.
    [Theory]
    [InlineData("CALL keeps()")]
    [InlineData("CREATE TEMPORARY TABLE x (id INT)")]
    [InlineData("PREPARE s FROM 'INSERT INTO t VALUES (11, 0)'; EXECUTE s")]
    [InlineData("SET autocommit = 1")]
    [InlineData("SET SESSION TRANSACTION READ WRITE")]
    [InlineData("CHECKSUM TABLE t")]
    public async Task Commit_StatementThatDidNotEndTheTransaction_CommitsAll(string keeping)
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.Transaction.SaveAsync("mine");
        await ExecuteAsync(scene.Connection, keeping);
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (13, 0)");
        await scene.Transaction.RollbackAsync("mine");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (12, 0)");
        Assert.False(((PooledTransaction)scene.Transaction).MayHaveCommitted);
        await scene.Transaction.CommitAsync();
        Assert.Equal(2, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Commit_ProcedureThatCommitsReadByAReader_IsAnErrorAndNothingMoreIsSent()
    {
        await using TransactionScene scene = await BeginAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await using (DbCommand command = scene.Connection.CreateCommand())
        {
            command.CommandText = "commits";
            command.CommandType = System.Data.CommandType.StoredProcedure;
            await using DbDataReader reader = await command.ExecuteReaderAsync();
            await reader.ReadAsync();
        }

        await Assert.ThrowsAsync<TransactionEndedException>(
            () => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.CommitAsync());
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Execute_BatchWithAStatementThatEndsTheTransaction_NothingMoreIsSent()
    {
        await using TransactionScene scene = await BeginAsync();
        await using DbBatch batch = scene.Connection.CreateBatch();
        foreach (string text in (string[])["INSERT INTO t VALUES (10, 0)", "ANALYZE TABLE t"])
        {
            DbBatchCommand command = batch.CreateBatchCommand();
            command.CommandText = text;
            batch.BatchCommands.Add(command);
        }

        await batch.ExecuteNonQueryAsync();
        await Assert.ThrowsAsync<TransactionEndedException>(
            () => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)"));
    }

    [Fact]
    public async Task Execute_StatementThatEndsATransactionBegunByText_NothingMoreIsSentUntilItIsRolledBack()
    {
        await using TransactionScene scene = await BeginAsync(byText: "BEGIN");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Connection, "CREATE TABLE x (id INT)");
        await Assert.ThrowsAsync<TransactionEndedException>(
            () => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => ExecuteAsync(scene.Connection, "COMMIT"));
        await Assert.ThrowsAsync<TransactionEndedException>(() => ExecuteAsync(scene.Connection, "ROLLBACK"));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (12, 0)");
        Assert.Equal(2, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Close_TransactionWasOver_NextRenterIsNotTold()
    {
        await using (TransactionScene scene = await BeginAsync())
        {
            await scene.LoseADeadlockAsync(() => ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 2"));
            await Assert.ThrowsAsync<TransactionEndedException>(() => ExecuteAsync(scene.Connection, "SELECT 1"));
            await scene.Connection.CloseAsync();
            await using DbConnection next = await scene.Pool.OpenConnectionAsync();
            await ExecuteAsync(next, "INSERT INTO t VALUES (10, 0)");
            await using DbTransaction transaction = await next.BeginTransactionAsync();
            await ExecuteAsync(next, "INSERT INTO t VALUES (11, 0)");
            await transaction.CommitAsync();
            Assert.Equal(2, await scene.CountAsync("id > 9"));
            Assert.Equal(1, scene.Pool.Snapshot().Opened);
        }
    }

    private Task<TransactionScene> BeginAsync(string? byText = null) => TransactionScene.BeginAsync(Fixture, byText);
}
