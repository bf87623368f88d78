using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Results that the caller did not read, on a real server.</summary>
public sealed class UnreadRowsTests : OnSharedServer
{
    [Fact]
    public async Task Commit_UnreadResultMetADeadlock_FailsInsteadOfAcknowledgingNothing()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using MySqlConnection other = await Fixture.ObserveAsync();
        await ExecuteAsync(other, "CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB");
        await ExecuteAsync(other, $"INSERT INTO t SELECT seq, 0 FROM {Sql.Sequence(100)}");

        // The lighter transaction is the victim.
        await ExecuteAsync(other, "START TRANSACTION");
        await ExecuteAsync(other, "UPDATE t SET v = 2 WHERE id > 1");

        await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, "UPDATE t SET v = 1 WHERE id = 1");
        await using (DbCommand script = connection.CreateCommand())
        {
            script.CommandText = "SELECT 1; UPDATE t SET v = 1 WHERE id = 2";

            // Closed synchronously, because an asynchronous close would read on.
            using DbDataReader reader = await script.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
        }

        // The script waits for the other transaction, which now requests the row that the script's transaction holds.
        await ExecuteAsync(other, "UPDATE t SET v = 2 WHERE id = 1");
        var error = await Assert.ThrowsAsync<MySqlException>(() => transaction.CommitAsync());
        Assert.Equal(MySqlErrorCode.LockDeadlock, error.ErrorCode);
        Assert.Equal(FailureKind.StatementFailed, pool.Classify(error));
        await ExecuteAsync(other, "COMMIT");
        Assert.Equal(200, await ScalarAsync(other, "SELECT SUM(v) FROM t"));
        await UntilAsync(pool, s => s.Idle == 1);
    }

    [Fact]
    public async Task Close_FirstResultReadAndASlowOneToCome_ScriptIsEndedWithItsSession()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            await using DbCommand script = connection.CreateCommand();
            script.CommandText = "SELECT 1; SELECT SLEEP(30)";
            using DbDataReader reader = await script.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
            }
        }

        // A kill of the statement alone would let the server go on with the rest of the script.
        await UntilAsync(pool, s => s is { Used: 0, Closing: 0 }, 3, "the end of the script");
        Assert.Equal(1, pool.Snapshot().Closed["discarded"]);
    }

    [Fact]
    public async Task Close_ResultsOfAScriptLeftUnread_WhatWasNotDoneSoonNeverTakesEffect()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            await ExecuteAsync(connection, "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB");
            await using DbCommand script = connection.CreateCommand();
            script.CommandText = "SELECT 1; SELECT SLEEP(30); INSERT INTO t VALUES (1)";
            await script.ExecuteReaderAsync();
        }

        await using DbConnection next = await pool.OpenConnectionAsync();
        Assert.Equal(0, await ScalarAsync(next, "SELECT COUNT(*) FROM t"));
    }
}
