using System.Data.Common;

using MySqlConnector;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Work from which the caller was cut off does not continue: a KILL QUERY ends at most one statement of a
/// script, and the server goes on with the next one.</summary>
public sealed class CutOffScriptTests : OnSharedServer
{
    [Theory]
    [InlineData("SELECT SLEEP(2); INSERT INTO t VALUES (1)")]
    [InlineData("DO SLEEP(2); INSERT INTO t VALUES (1)")]
    [InlineData("/* a */ DO SLEEP(2); /* b */ INSERT INTO t VALUES (1)")]
    [InlineData("SELECT GET_LOCK('upool_cut_off', 2); INSERT INTO t VALUES (1)")]
    [InlineData("SELECT BENCHMARK(100000000, SHA2('x', 256)); INSERT INTO t VALUES (1)")]
    [InlineData("CALL sleeps()")]
    [InlineData("-- a\nCALL sleeps()")]
    [InlineData("CALL handles()")]
    [InlineData("PREPARE s FROM 'CALL sleeps()'; EXECUTE s")]
    public async Task Execute_ScriptCutOff_NothingOfItIsDoneAfterwards(string script)
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(20);
        });
        await using MySqlConnection other = await Fixture.ObserveAsync();
        await ExecuteAsync(other, "CREATE TABLE t (id INT PRIMARY KEY)");
        await ExecuteAsync(other, "CREATE PROCEDURE sleeps() BEGIN DO SLEEP(2); INSERT INTO t VALUES (1); END");
        await ExecuteAsync(
            other,
            "CREATE PROCEDURE handles() BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
            + " DO SLEEP(2); INSERT INTO t VALUES (1); END");
        await ExecuteAsync(other, "SELECT GET_LOCK('upool_cut_off', 0)");
        long id;
        await using (PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow())
        {
            id = await ScalarAsync(connection, "SELECT CONNECTION_ID()");
            connection.Deadline = Deadline.After(TimeSpan.FromSeconds(0.5));
            await Assert.ThrowsAsync<DeadlineExceededException>(() => ExecuteAsync(connection, script));
        }

        // Another session, after the server has dropped the former one.
        await using DbConnection next = await pool.OpenConnectionAsync();
        Assert.NotEqual(id, await ScalarAsync(next, "SELECT CONNECTION_ID()"));
        Assert.Equal(0, await ScalarAsync(other, "SELECT COUNT(*) FROM t"));
    }

    // Closed before its second result: the session's end stops the rest, so nothing after the SLEEP is executed.
    [Theory]
    [InlineData("SELECT 1; SELECT SLEEP(30); INSERT INTO t VALUES (1)", true)]
    [InlineData("SELECT 1; SELECT SLEEP(30); INSERT INTO t VALUES (1)", false)]
    [InlineData("SELECT 1; DO SLEEP(30); INSERT INTO t VALUES (1)", true)]
    [InlineData("CALL shows_and_sleeps()", true)]
    [InlineData("CALL shows_and_sleeps()", false)]
    public async Task Close_ReaderLeftInAScript_NothingOfItIsDoneAfterwards(string script, bool closesReader)
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(20);
        });
        await using MySqlConnection other = await Fixture.ObserveAsync();
        await ExecuteAsync(other, "CREATE TABLE t (id INT PRIMARY KEY)");
        await ExecuteAsync(
            other,
            "CREATE PROCEDURE shows_and_sleeps() BEGIN SELECT 1; DO SLEEP(30); INSERT INTO t VALUES (1); END");
        PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
        long id = await ScalarAsync(connection, "SELECT CONNECTION_ID()");
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = script;
        DbDataReader reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        Assert.True(await reader.ReadAsync(TestContext.Current.CancellationToken));

        // Synchronously, so that the close does not wait.
        if (closesReader) reader.Close();
        connection.Close();

        await using DbConnection next = await pool.OpenConnectionAsync();
        Assert.NotEqual(id, await ScalarAsync(next, "SELECT CONNECTION_ID()"));
        Assert.Equal(0, await ScalarAsync(other, "SELECT COUNT(*) FROM t"));
    }

    [Fact]
    public async Task Execute_OneStatementCutOff_SessionGoesOn()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(20);
        });
        await using (PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow())
        {
            connection.Deadline = Deadline.After(TimeSpan.FromSeconds(0.5));
            await Assert.ThrowsAsync<DeadlineExceededException>(
                () => ExecuteAsync(connection, "SELECT SLEEP(30) /* ; */"));
        }

        await using DbConnection next = await pool.OpenConnectionAsync();
        await ExecuteAsync(next, "SELECT 1");
        Assert.Equal(1, pool.Snapshot().Opened);
    }
}
