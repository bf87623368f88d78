using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Unusual statements. The renter's result is compared with the rows that another session then sees, so a
/// test case needs no expected value.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class OddInputTests : OnSharedServer
{
    [Theory]
    [InlineData("SELECT writes(60)")]
    [InlineData("HANDLER t OPEN; HANDLER t READ FIRST; HANDLER t READ NEXT")]
    [InlineData("PREPARE s FROM 'SELECT id FROM t'; EXECUTE s; EXECUTE s")]
    [InlineData("EXPLAIN FORMAT=JSON SELECT * FROM t")]
    [InlineData("SELECT id FROM t /* ; */; -- x\nSELECT 2; # y\nSELECT 3")]
    [InlineData("CALL cursors(@a, @b)")]
    [InlineData("CHECK TABLE t, t2")]
    [InlineData("SHOW TABLES")]
    [InlineData("WITH RECURSIVE q AS (SELECT 1 n UNION ALL SELECT n + 1 FROM q WHERE n < 900) SELECT n FROM q")]
    [InlineData("SELECT 1 INTO @x; SELECT 2; SELECT 3")]
    public Task Close_ReaderOfAnything_CommandIsTheCallersAndTheSessionGoesOn(string text) => CloseAsync(text);

    [Theory]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    [InlineData("EXECUTE IMMEDIATE 'SELECT id FROM t'")]
    [InlineData("ANALYZE FORMAT=JSON SELECT * FROM t")]
    [InlineData("SET STATEMENT max_statement_time = 10 FOR SELECT id FROM t")]
    [InlineData("INSERT INTO t VALUES (61), (62), (63) RETURNING id")]
    [InlineData("BEGIN NOT ATOMIC SELECT 1; SELECT 2; END")]
    public Task Close_ReaderOfAnythingOnMariaDb_CommandIsTheCallersAndTheSessionGoesOn(string text) =>
        CloseAsync(text);

    [Theory]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MySql)]
    [InlineData("EXPLAIN ANALYZE SELECT * FROM t")]
    [InlineData("TABLE t")]
    [InlineData("VALUES ROW(1), ROW(2)")]
    public Task Close_ReaderOfAnythingOnMySql_CommandIsTheCallersAndTheSessionGoesOn(string text) =>
        CloseAsync(text);

    private async Task CloseAsync(string text)
    {
        (PooledDataSource pool, MySqlConnection other) = await MakeAsync();
        await using (other)
        {
            foreach (bool isAsynchronous in (bool[])[true, false])
            {
                await using DbConnection connection = await pool.OpenConnectionAsync();
                await using DbCommand command = connection.CreateCommand();
                command.CommandText = text;
                DbDataReader reader = await command.ExecuteReaderAsync();
                await reader.ReadAsync();
                if (isAsynchronous) await reader.DisposeAsync();
                else reader.Dispose();

                command.CommandText = "SELECT 41 + 1";
                Assert.Equal(42L, Convert.ToInt64(await command.ExecuteScalarAsync()));
                await ExecuteAsync(connection, "DELETE FROM t WHERE id >= 60");
            }
        }
    }

    // The pool must report what the statement did to the transaction: either it ended it, and row 10 may be stored
    // before the commit, or it did not.
    [Theory]
    [InlineData("HANDLER t OPEN AS h; HANDLER h READ FIRST; HANDLER h CLOSE")]
    [InlineData("SAVEPOINT a; SAVEPOINT a; RELEASE SAVEPOINT a")]
    [InlineData("SAVEPOINT upool_mark; CALL inserts(60); ROLLBACK TO upool_mark")]
    [InlineData("SELECT id FROM t LIMIT 1 INTO @x")]
    [InlineData("CREATE TEMPORARY TABLE tmp AS SELECT * FROM t; DROP TEMPORARY TABLE tmp")]
    [InlineData("SELECT writes(60)")]
    [InlineData("DO writes(60)")]
    [InlineData("LOCK TABLES t WRITE")]
    [InlineData("LOCK TABLES t WRITE; UNLOCK TABLES")]
    [InlineData("UNLOCK TABLES")]
    [InlineData("FLUSH TABLES")]
    [InlineData("TRUNCATE TABLE t2")]
    [InlineData("CREATE TABLE x AS SELECT * FROM t")]
    [InlineData("CREATE TABLE x AS SELECT nothing FROM t")]
    [InlineData("PREPARE s FROM 'COMMIT'; EXECUTE s")]
    [InlineData("PREPARE s FROM 'INSERT INTO t VALUES (60)'; EXECUTE s; DEALLOCATE PREPARE s")]
    [InlineData("CALL cursors(@a, @b)")]
    [InlineData("CALL nests()")]
    [InlineData("XA START 'x'; INSERT INTO t VALUES (60)")]
    [InlineData("SET @x = 1; COMMIT; BEGIN")]
    [InlineData("ROLLBACK; BEGIN; INSERT INTO t VALUES (60)")]
    [InlineData("CREATE FUNCTION f2() RETURNS INT DETERMINISTIC RETURN 1")]
    [InlineData("SET SESSION sql_mode = ''; INSERT INTO t VALUES (60)")]
    [InlineData("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")]
    public Task Commit_AfterAnything_SaysWhatTheServerDid(string text) => CommitAsync(text);

    [Theory]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    [InlineData("EXECUTE IMMEDIATE 'COMMIT'")]
    [InlineData("EXECUTE IMMEDIATE 'INSERT INTO t VALUES (60)'")]
    [InlineData("SET STATEMENT max_statement_time = 10 FOR INSERT INTO t VALUES (60)")]
    [InlineData("BEGIN NOT ATOMIC INSERT INTO t VALUES (60); COMMIT; END")]
    [InlineData("BEGIN NOT ATOMIC INSERT INTO t VALUES (60); END")]
    [InlineData("ANALYZE FORMAT=JSON DELETE FROM t WHERE id = 9")]
    [InlineData("CREATE SEQUENCE sq")]
    public Task Commit_AfterAnythingOnMariaDb_SaysWhatTheServerDid(string text) =>
        CommitAsync(text);

    private async Task CommitAsync(string text)
    {
        (PooledDataSource pool, MySqlConnection other) = await MakeAsync();
        await using (other)
        {
            await using DbConnection connection = await pool.OpenConnectionAsync();
            await using var transaction = (PooledTransaction)await connection.BeginTransactionAsync();
            await ExecuteAsync(connection, "INSERT INTO t VALUES (10)");
            await TryAsync(connection, text);
            bool isStored = false, isEnded = false;
            try
            {
                await ExecuteAsync(connection, "INSERT INTO t VALUES (11)");

                // The other session reads after the commit: under LOCK TABLES it could not read before.
                await transaction.CommitAsync();
            }
            catch (TransactionEndedException ended)
            {
                isEnded = true;
                await connection.CloseAsync();
                isStored = await ScalarAsync(other, "SELECT COUNT(*) FROM t WHERE id = 10") > 0;
                Assert.True(!isStored || ended.MayHaveCommitted);
            }

            // A successful commit stored everything; no statement after the transaction's end was executed.
            Assert.Equal(isEnded ? 0 : 1, await ScalarAsync(other, "SELECT COUNT(*) FROM t WHERE id = 11"));
            if (!isEnded) Assert.Equal(1, await ScalarAsync(other, "SELECT COUNT(*) FROM t WHERE id = 10"));
            if (isEnded && !isStored) Assert.Contains("ROLLBACK", text, StringComparison.Ordinal);
        }
    }

    // In autocommit: if any part is stored, no error may claim that nothing was done.
    [Theory]
    [InlineData("INSERT INTO t VALUES (60); /* c */ INSERT INTO t VALUES (1)")]
    [InlineData("INSERT INTO t VALUES (60) -- ;\n; INSERT INTO t VALUES (1)")]
    [InlineData("INSERT INTO t VALUES (60) /*!, (1) */")]
    [InlineData("PREPARE s FROM 'CALL nests()'; EXECUTE s")]
    [InlineData("LOCK TABLES t WRITE; INSERT INTO t VALUES (60); INSERT INTO t VALUES (1)")]
    [InlineData("CREATE TABLE x (id INT PRIMARY KEY) AS SELECT 1 AS id UNION ALL SELECT 1")]
    [InlineData("SELECT writes(60), writes(1)")]
    [InlineData("INSERT INTO t SELECT writes(60) UNION ALL SELECT 1")]
    [InlineData("DELETE t, t2 FROM t JOIN t2 ON t.id = t2.id WHERE writes(1) = 1")]
    [InlineData("RENAME TABLE t2 TO x, nowhere TO y")]
    [InlineData("DROP TABLE t2, nowhere")]
    [InlineData("SET @x = writes(60), @y = writes(1)")]
    [InlineData("XA START 'x'; INSERT INTO t VALUES (60); XA END 'x'; XA COMMIT 'x' ONE PHASE; SELEC")]
    [InlineData("BEGIN; INSERT INTO t VALUES (60); COMMIT; INSERT INTO t VALUES (1)")]
    [InlineData("SELECT 'it\\'s; ' ; INSERT INTO t VALUES (60); INSERT INTO t VALUES (1)")]
    public Task Classify_AnythingThatFails_SaysNoMoreThanIsSo(string text) => ClassifyAsync(text);

    [Theory]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    [InlineData("EXECUTE IMMEDIATE 'CALL nests()'")]
    [InlineData("BEGIN NOT ATOMIC INSERT INTO t VALUES (60); INSERT INTO t VALUES (1); END")]
    [InlineData("SET STATEMENT max_statement_time = 10 FOR CALL nests()")]
    public Task Classify_AnythingThatFailsOnMariaDb_SaysNoMoreThanIsSo(string text) =>
        ClassifyAsync(text);

    private async Task ClassifyAsync(string text)
    {
        (PooledDataSource pool, MySqlConnection other) = await MakeAsync();
        await using (other)
        {
            FailureKind kind;
            await using (DbConnection connection = await pool.OpenConnectionAsync())
            {
                var error = await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, text));
                kind = pool.Classify(error);
            }

            await using DbConnection next = await pool.OpenConnectionAsync();
            long left = await ScalarAsync(
                next,
                "SELECT (SELECT COUNT(*) FROM t WHERE id >= 60) + (SELECT COUNT(*) FROM information_schema.tables"
                    + " WHERE table_schema = DATABASE() AND table_name IN ('x', 't2') AND NOT table_name = 't2')"
                    + " + (SELECT COUNT(*) = 0 FROM information_schema.tables"
                    + " WHERE table_schema = DATABASE() AND table_name = 't2')");
            Assert.True(left == 0 || kind == FailureKind.OutcomeUnknown, $"{left} stored, and told {kind}");
            Assert.True(kind is FailureKind.OutcomeUnknown or FailureKind.StatementFailed, $"{kind}");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Batch_MiddleFails_SaysNoMoreThanIsSo(bool inTransaction)
    {
        (PooledDataSource pool, MySqlConnection other) = await MakeAsync();
        await using (other)
        {
            await using DbConnection connection = await pool.OpenConnectionAsync();
            await using DbTransaction? transaction = inTransaction ? await connection.BeginTransactionAsync() : null;
            await using DbBatch batch = connection.CreateBatch();
            foreach (int id in (int[])[60, 1, 61])
            {
                DbBatchCommand command = batch.CreateBatchCommand();
                command.CommandText = $"INSERT INTO t VALUES ({id})";
                batch.BatchCommands.Add(command);
            }

            var error = await Assert.ThrowsAsync<MySqlException>(() => batch.ExecuteNonQueryAsync());
            Assert.Equal(
                inTransaction ? FailureKind.StatementFailed : FailureKind.OutcomeUnknown, pool.Classify(error));
            if (transaction is not null) await transaction.CommitAsync();
            Assert.Equal(1, await ScalarAsync(other, "SELECT COUNT(*) FROM t WHERE id >= 60"));
        }
    }

    // Loaded from the caller's own stream; the second row exists already.
    [Fact]
    public async Task LoadData_FailsHalfWay_NothingIsStoredAndTheSessionGoesOn()
    {
        (PooledDataSource pool, MySqlConnection other) = await MakeAsync();
        await using (other)
        {
            await ExecuteAsync(other, "CREATE TABLE strict (id INT PRIMARY KEY, v INT NOT NULL CHECK (v > 0))");
            await using DbConnection connection = await pool.OpenConnectionAsync();
            var error = await Assert.ThrowsAsync<MySqlException>(
                () => ExecuteAsync(connection, "LOAD DATA LOCAL INFILE 'nowhere' INTO TABLE strict"));
            Assert.NotEqual(FailureKind.Other, pool.Classify(error));
            await connection.CloseAsync();
            await using DbConnection next = await pool.OpenConnectionAsync();
            Assert.Equal(0, await ScalarAsync(next, "SELECT COUNT(*) FROM strict"));
        }
    }

    private static async Task TryAsync(DbConnection connection, string text)
    {
        try
        {
            await ExecuteAsync(connection, text);
        }
        catch (DbException)
        {
            // Some fail, and some of those have committed before.
        }
    }

    private async Task<(PooledDataSource Pool, MySqlConnection Other)> MakeAsync()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(20);
        });
        MySqlConnection other = await Fixture.ObserveAsync();
        foreach (string text in (string[])
            [
                "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB", "INSERT INTO t VALUES (1), (2), (3), (9)",
                "CREATE TABLE t2 (id INT PRIMARY KEY) ENGINE=InnoDB", "INSERT INTO t2 VALUES (1)",
                "CREATE FUNCTION writes(n INT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (n);"
                    + " RETURN n; END",
                "CREATE PROCEDURE inserts(n INT) INSERT INTO t VALUES (n)",
                "CREATE PROCEDURE nests() BEGIN CALL inserts(60); CALL inserts(1); END",
                "CREATE PROCEDURE cursors(OUT a INT, OUT b INT) BEGIN DECLARE c CURSOR FOR SELECT id FROM t;"
                    + " OPEN c; FETCH c INTO a; FETCH c INTO b; CLOSE c; SELECT a; SELECT b; END",
            ])
        {
            await ExecuteAsync(other, text);
        }

        return (pool, other);
    }
}
