using System.Data;
using System.Data.Common;
using System.Globalization;

using MySqlConnector;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>After a reader's close returns, only the caller uses the command and its parameters.</summary>
public sealed class ClosedReaderTests : OnSharedServer
{
    // Slow enough that the rest has not arrived when the reader is closed.
    private const string Slow =
        "CREATE PROCEDURE slow(INOUT n INT) BEGIN SELECT n; DO SLEEP(0.05); SET n = n + 1000; END";

    private const string Quick =
        "CREATE PROCEDURE quick(INOUT n INT) BEGIN SELECT n; SELECT n; SET n = n + 1000; END";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Close_AfterOneRow_CommandTakesAnotherTextAtOnce(bool asynchronously)
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
        await using DbCommand command = connection.CreateCommand();
        command.Parameters.Add(new MySqlParameter("@id", 1));
        for (int i = 0; i < 200; i++)
        {
            command.CommandText = i % 2 == 0 ? "SELECT 10 FROM DUAL WHERE 1 = @id" : "SELECT @id UNION SELECT 2";
            DbDataReader reader = await command.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            Assert.Equal(i % 2 == 0 ? 10 : 1, reader.GetInt32(0));
            if (asynchronously) await reader.DisposeAsync();
            else reader.Dispose();
        }
    }

    [Fact]
    public async Task DisposeAsync_ProcedureWithARestToCome_OutputValueIsThere()
    {
        await using PooledConnection connection = await WithAsync(Slow);
        await using DbCommand command = connection.CreateCommand();
        MySqlParameter n = Procedure(command, "slow");
        List<(int Row, object? Output)> seen = [];
        for (int i = 1; i <= 5; i++)
        {
            n.Value = i;
            await using (DbDataReader reader = await command.ExecuteReaderAsync())
            {
                Assert.True(await reader.ReadAsync());
                seen.Add((reader.GetInt32(0), null));
            }

            seen[^1] = (seen[^1].Row, n.Value);
        }

        Assert.Equal([(1, 1001), (2, 1002), (3, 1003), (4, 1004), (5, 1005)], seen);
    }

    [Fact]
    public async Task Dispose_ProcedureWithARestToCome_NothingIsWrittenBehindTheCallersBack()
    {
        await using PooledConnection connection = await WithAsync(Slow);
        await using DbCommand command = connection.CreateCommand();
        MySqlParameter n = Procedure(command, "slow");
        List<int> rows = [];
        for (int i = 1; i <= 5; i++)
        {
            n.Value = i;
            DbDataReader reader = await command.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            rows.Add(reader.GetInt32(0));
            reader.Dispose();
            Assert.Equal(i, n.Value);
        }

        // When this returns, the rest of the previous result has been read.
        Assert.Equal(7, await ScalarAsync(connection, "SELECT 7"));
        Assert.Equal([1, 2, 3, 4, 5], rows);
        Assert.Equal(5, n.Value);
    }

    [Fact]
    public async Task Dispose_RestHasArrived_OutputValueIsThere()
    {
        await using PooledConnection connection = await WithAsync(Quick);
        await using DbCommand command = connection.CreateCommand();
        MySqlParameter n = Procedure(command, "quick");
        n.Value = 1;
        DbDataReader reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        await UntilServerIsDoneAsync(connection);
        reader.Dispose();
        Assert.Equal(1001, n.Value);
    }

    [Fact]
    public async Task NextResultAsync_ToTheOutputValues_AreThereBeforeTheClose()
    {
        await using PooledConnection connection = await WithAsync(Quick);
        await using DbCommand command = connection.CreateCommand();
        MySqlParameter n = Procedure(command, "quick");
        n.Value = 1;
        await using DbDataReader reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.NextResultAsync());
        Assert.False(await reader.NextResultAsync());
        Assert.Equal(1001, n.Value);
    }

    [Fact]
    public async Task Execute_ProcedureAndFunction_OutputValuesAreThere()
    {
        await using PooledConnection connection = await WithAsync(
            "CREATE PROCEDURE twice(IN a INT, OUT b INT, INOUT c VARCHAR(20)) "
            + "BEGIN SET b = 2 * a, c = CONCAT(c, '!'); END",
            "CREATE FUNCTION thrice(a INT) RETURNS INT DETERMINISTIC NO SQL RETURN 3 * a");
        await using DbCommand command = connection.CreateCommand();
        command.CommandType = CommandType.StoredProcedure;
        command.CommandText = "twice";
        command.Parameters.Add(new MySqlParameter("a", 21));
        var b = new MySqlParameter("b", MySqlDbType.Int32) { Direction = ParameterDirection.Output };
        var c = new MySqlParameter("c", "hey") { Direction = ParameterDirection.InputOutput };
        command.Parameters.Add(b);
        command.Parameters.Add(c);
        await command.ExecuteNonQueryAsync();
        Assert.Equal((42, "hey!"), (b.Value, c.Value));
        await command.ExecuteScalarAsync();
        Assert.Equal((42, "hey!!"), (b.Value, c.Value));

        await using DbCommand function = connection.CreateCommand();
        function.CommandType = CommandType.StoredProcedure;
        function.CommandText = "thrice";
        function.Parameters.Add(new MySqlParameter("a", 21));
        var result = new MySqlParameter { ParameterName = "r", Direction = ParameterDirection.ReturnValue };
        function.Parameters.Add(result);
        await using (DbDataReader reader = await function.ExecuteReaderAsync()) await reader.ReadAsync();
        Assert.Equal(63L, Convert.ToInt64(result.Value, CultureInfo.InvariantCulture));
        result.Value = null;
        await function.ExecuteNonQueryAsync();
        Assert.Equal(63L, Convert.ToInt64(result.Value, CultureInfo.InvariantCulture));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Batch_ClosedEarly_ParametersAreTheCallersAlone(bool asynchronously)
    {
        await using PooledConnection connection = await WithAsync(Slow);
        await using DbBatch batch = connection.CreateBatch();
        DbBatchCommand call = batch.CreateBatchCommand();
        call.CommandText = "slow";
        call.CommandType = CommandType.StoredProcedure;
        var n = new MySqlParameter("n", MySqlDbType.Int32) { Direction = ParameterDirection.InputOutput };
        call.Parameters.Add(n);

        // Alone: the driver cannot send a statement after a procedure in one batch.
        batch.BatchCommands.Add(call);
        for (int i = 1; i <= 3; i++)
        {
            n.Value = i;
            DbDataReader reader = await batch.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            if (asynchronously) await reader.DisposeAsync();
            else reader.Dispose();
            Assert.Equal(asynchronously ? i + 1000 : i, n.Value);
        }

        Assert.Equal(7, await ScalarAsync(connection, "SELECT 7"));
        Assert.Equal(asynchronously ? 1003 : 3, n.Value);
    }

    [Fact]
    public async Task DisposeAsync_RestPastTheDeadline_EndsInTimeAndTheCommandGoesOnElsewhere()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbCommand command = new PooledCommandOf(pool).Command;
        await using (PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow())
        {
            command.Connection = connection;
            command.CommandText = "SELECT 1; SELECT SLEEP(30)";
            DbDataReader reader = await command.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            connection.Deadline = Deadline.After(TimeSpan.FromMilliseconds(100));
            await Assert.ThrowsAsync<DeadlineExceededException>(() => reader.DisposeAsync().AsTask());
            Assert.True(reader.IsClosed);
            Assert.Equal(ConnectionState.Closed, connection.State);
        }

        await using PooledConnection next = (await pool.RentAsync()).GetConnectionOrThrow();
        command.Connection = next;
        command.CommandText = "SELECT 2";
        Assert.Equal(2L, Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture));
        await next.DisposeAsync();
        await UntilAsync(pool, s => s is { Used: 0, Closing: 0 });
    }

    [Fact]
    public async Task DisposeAsync_ScriptHalfRead_IsDoneToItsEnd()
    {
        await using PooledConnection connection = await WithAsync("CREATE TABLE t (id INT PRIMARY KEY)");
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT 1; INSERT INTO t VALUES (1); DO SLEEP(0.02); INSERT INTO t VALUES (2)";
        await using (DbDataReader reader = await command.ExecuteReaderAsync()) await reader.ReadAsync();
        await connection.CloseAsync();
        await using MySqlConnection other = await Fixture.ObserveAsync();
        Assert.Equal(2, await ScalarAsync(other, "SELECT COUNT(*) FROM t"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CloseConnection_ReaderClosedEarly_CommandGoesOnAfterTheNextOpen(bool asynchronously)
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await using DbCommand command = connection.CreateCommand();
        for (int i = 0; i < 20; i++)
        {
            command.CommandText = $"SELECT {i}; SELECT SLEEP(0.01)";
            DbDataReader reader = await command.ExecuteReaderAsync(CommandBehavior.CloseConnection);
            Assert.True(await reader.ReadAsync());
            Assert.Equal(i, reader.GetInt32(0));
            if (asynchronously) await reader.DisposeAsync();
            else reader.Dispose();
            Assert.Equal(ConnectionState.Closed, connection.State);
            await connection.OpenAsync();
        }
    }

    [Fact]
    public async Task Close_ConnectionWithAnOpenReader_CommandGoesOnAndNothingIsWritten()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await ExecuteAsync(connection, Slow);
        await using DbCommand command = connection.CreateCommand();
        MySqlParameter n = Procedure(command, "slow");
        for (int i = 1; i <= 3; i++)
        {
            n.Value = i;
            DbDataReader reader = await command.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            Assert.Equal(i, reader.GetInt32(0));
            await connection.CloseAsync();
            await connection.OpenAsync();
            await reader.DisposeAsync();
            Assert.Equal(i, n.Value);
        }

        await connection.CloseAsync();
        await UntilAsync(pool, s => s is { Used: 0, Closing: 0 });
        Assert.Equal(3, n.Value);
    }

    [Fact]
    public async Task CommandText_SetWhileTheReaderIsOpen_IsRefusedAsByTheDriver()
    {
        await using PooledConnection connection = await WithAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT 1";
        DbDataReader reader = await command.ExecuteReaderAsync();
        Assert.Throws<InvalidOperationException>(() => command.CommandText = "SELECT 2");
        Assert.Throws<InvalidOperationException>(() => command.Connection = null);
        Assert.Equal("SELECT 1", command.CommandText);
        reader.Dispose();
        command.CommandText = "SELECT 2";
        Assert.Equal(2, await ScalarOfAsync(command));
    }

    [Fact]
    public async Task LastInsertedId_AfterEachWayOfInserting_IsTheGeneratedId()
    {
        await using PooledConnection connection = await WithAsync(
            "CREATE TABLE ids (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT)");
        await using var command = (PooledCommand)connection.CreateCommand();
        command.CommandText = "INSERT INTO ids (v) VALUES (1)";
        await command.ExecuteNonQueryAsync();
        Assert.Equal(1, command.LastInsertedId);
        await command.ExecuteScalarAsync();
        Assert.Equal(2, command.LastInsertedId);
        await using (await command.ExecuteReaderAsync()) Assert.Equal(3, command.LastInsertedId);
        command.CommandText = "INSERT INTO ids (v) VALUES (1), (2), (3)";
        await command.ExecuteNonQueryAsync();
        Assert.Equal(4, command.LastInsertedId);
        command.CommandText = "SELECT 1";
        await command.ExecuteNonQueryAsync();
        Assert.Equal(0, command.LastInsertedId);
    }

    private async Task<PooledConnection> WithAsync(params string[] statements)
    {
        PooledConnection connection = (await Fixture.CreatePool().RentAsync()).GetConnectionOrThrow();
        foreach (string statement in statements) await ExecuteAsync(connection, statement);
        return connection;
    }

    private static MySqlParameter Procedure(DbCommand command, string name)
    {
        command.CommandText = name;
        command.CommandType = CommandType.StoredProcedure;
        var n = new MySqlParameter("n", MySqlDbType.Int32) { Direction = ParameterDirection.InputOutput };
        command.Parameters.Add(n);
        return n;
    }

    private static async Task<long> ScalarOfAsync(DbCommand command) =>
        Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);

    /// <summary>Waits until the server has sent everything to this session.</summary>
    private async Task UntilServerIsDoneAsync(PooledConnection connection)
    {
        await using MySqlConnection other = await Fixture.ObserveAsync();
        string sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND ID = "
            + connection.Physical.Inner.ServerThreadOf();
        while (await ScalarAsync(other, sql) == 0) await Task.Delay(5, TestContext.Current.CancellationToken);
    }

    private sealed class PooledCommandOf(PooledDataSource pool)
    {
        public DbCommand Command { get; } = pool.CreateConnection().CreateCommand();
    }
}

file static class Driver
{
    public static int ServerThreadOf(this DbConnection connection) => ((MySqlConnection)connection).ServerThread;
}
