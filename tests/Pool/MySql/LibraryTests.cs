using System.Collections.ObjectModel;
using System.Data;
using System.Data.Common;
using System.Globalization;

using Dapper;

using MySqlConnector;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>The requirements of ADO.NET libraries, on a real server with the default options.</summary>
public sealed class LibraryTests : OnSharedServer
{
    // Few enough to arrive together.
    private const int Rows = 100;

    [Fact]
    public async Task DapperQueryAsync_OfTwoTypes_MapsEveryRow()
    {
        await using DbConnection connection = await WithRowsAsync();
        List<(int Id, string Name)> pairs = [.. await connection.QueryAsync<Left, Right, (int, string)>(
            "SELECT id AS LeftId, v AS V, id AS RightId, name AS Name FROM t ORDER BY id",
            static (left, right) => (left.LeftId, right.Name), splitOn: "RightId")];
        Assert.Equal(Enumerable.Range(1, Rows).Select(Row), pairs);
    }

    [Fact]
    public async Task DapperQueryMultipleAsync_MappedToTwoTypes_GivesEachResult()
    {
        await using DbConnection connection = await WithRowsAsync();
        await using SqlMapper.GridReader grid = await connection.QueryMultipleAsync(
            "SELECT 1; SELECT id AS LeftId, v AS V, id AS RightId, name AS Name FROM t WHERE id < 4 ORDER BY id");
        Assert.Equal(1, await grid.ReadSingleAsync<int>());
        Assert.Equal(
            [1, 2, 3], grid.Read<Left, Right, int>(static (left, right) => right.RightId, splitOn: "RightId"));
    }

    [Fact]
    public async Task Foreach_OverAReader_GivesEveryRow()
    {
        await using DbConnection connection = await WithRowsAsync();
        await using DbDataReader reader = await ReaderAsync(connection);
        List<(int, string)> rows = [];
        foreach (IDataRecord record in reader) rows.Add((record.GetInt32(0), record.GetString(1)));
        Assert.Equal(Enumerable.Range(1, Rows).Select(Row), rows);
    }

    [Fact]
    public async Task DataTableLoad_AfterAnAsynchronousExecution_HoldsEveryRow()
    {
        await using DbConnection connection = await WithRowsAsync();
        using var table = new DataTable();
        await using (DbDataReader reader = await ReaderAsync(connection)) table.Load(reader);
        Assert.Equal(
            Enumerable.Range(1, Rows).Select(Row),
            table.Rows.Cast<DataRow>().Select(static row => ((int)row[0], (string)row[1])));
        Assert.Equal(["id", "name"], table.Columns.Cast<DataColumn>().Select(static column => column.ColumnName));
    }

    [Fact]
    public async Task GetSchemaAsync_OfTables_NamesThem()
    {
        await using DbConnection connection = await WithRowsAsync();
        using DataTable tables = await connection.GetSchemaAsync("Tables");
        Assert.Contains(
            tables.Rows.Cast<DataRow>(),
            row => (string)row["TABLE_NAME"] == "t" && (string)row["TABLE_SCHEMA"] == connection.Database);
        using DataTable columns = await connection.GetSchemaAsync(
            "Columns", [null, connection.Database, "t", null], TestContext.Current.CancellationToken);
        Assert.Equal(3, columns.Rows.Count);
        using DataTable collections = await connection.GetSchemaAsync();
        Assert.Equal("MetaDataCollections", collections.TableName);
    }

    [Fact]
    public async Task GetSchema_Synchronous_AsksNobodyUnlessAllowed()
    {
        await using DbConnection connection = await WithRowsAsync();
        foreach (string known in (string[])
            ["MetaDataCollections", "DataSourceInformation", "DataTypes", "ReservedWords", "Restrictions"])
        {
            using DataTable table = connection.GetSchema(known);
            Assert.True(table.Rows.Count > 0, known);
        }

        Assert.Throws<InvalidOperationException>(() => connection.GetSchema("Tables"));
        PooledDataSource allowing = Fixture.CreatePool(o => o.AllowSynchronous = true);
        await using DbConnection other = await allowing.OpenConnectionAsync();
        using DataTable tables = other.GetSchema("Tables", [null, other.Database, "t"]);
        Assert.Single(tables.Rows.Cast<DataRow>());
    }

    [Fact]
    public async Task GetColumnSchemaAsync_OfAReader_SaysWhatTheDriverSays()
    {
        await using DbConnection connection = await WithRowsAsync();
        await using DbDataReader reader = await ReaderAsync(connection);
        ReadOnlyCollection<DbColumn> columns = await reader.GetColumnSchemaAsync();
        Assert.Equal(["INT", "VARCHAR"], columns.Select(static column => column.DataTypeName));
        Assert.Equal([typeof(int), typeof(string)], columns.Select(static column => column.DataType));
        Assert.True(columns[0].IsKey);
        Assert.Equal("t", columns[0].BaseTableName);
        Assert.Equal(columns.Count, reader.GetColumnSchema().Count);
    }

    [Fact]
    public async Task State_SessionWasKilled_IsBroken()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using MySqlConnection other = await Fixture.ObserveAsync();
        await using DbConnection connection = await pool.OpenConnectionAsync();
        long id = await ScalarAsync(connection, "SELECT CONNECTION_ID()");
        await ExecuteAsync(other, string.Create(CultureInfo.InvariantCulture, $"KILL {id}"));
        await Assert.ThrowsAnyAsync<DbException>(() => ScalarAsync(connection, "SELECT 1"));
        Assert.Equal(ConnectionState.Broken, connection.State);
        await connection.CloseAsync();
        Assert.Equal(ConnectionState.Closed, connection.State);
        await connection.OpenAsync();
        Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));
    }

    [Fact]
    public async Task ConnectionString_OfSourceAndConnection_CanBeReadAndHoldsNoCredential()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection closed = pool.CreateConnection();
        await using DbConnection open = await pool.OpenConnectionAsync();
        var given = new MySqlConnectionStringBuilder(Fixture.ConnectionString);
        Assert.Equal(given.Database, closed.Database);
        Assert.Equal(given.Server, closed.DataSource);
        foreach (string shown in (string[])[pool.ConnectionString, closed.ConnectionString, open.ConnectionString])
        {
            Assert.DoesNotContain(given.Password, shown, StringComparison.Ordinal);
            var read = new DbConnectionStringBuilder { ConnectionString = shown };
            Assert.Equal(given.Database, read["Database"]);
            var driver = new MySqlConnectionStringBuilder(shown);
            Assert.Equal((given.Server, given.Port), (driver.Server, driver.Port));
            Assert.Equal(("", ""), (driver.UserID, driver.Password));

            // Required by Pomelo's EF Core provider.
            Assert.True(driver is { AllowUserVariables: true, UseAffectedRows: false });
        }
    }

    [Fact]
    public async Task DataAdapter_FillAndUpdate_WriteTheChanges()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.AllowSynchronous = true);
        await using DbConnection connection = await WithRowsAsync(pool);
        DbProviderFactory factory = DbProviderFactories.GetFactory(connection)!;
        using DbDataAdapter adapter = factory.CreateDataAdapter()!;
        using DbCommandBuilder builder = factory.CreateCommandBuilder()!;
        await using DbCommand select = connection.CreateCommand();
        select.CommandText = "SELECT id, v FROM t WHERE id < 4 ORDER BY id";
        adapter.SelectCommand = select;
        builder.DataAdapter = adapter;
        using var table = new DataTable();
        Assert.Equal(3, adapter.Fill(table));
        table.Rows[0]["v"] = 100;
        table.Rows[1].Delete();
        table.Rows.Add(Rows + 1, 300);
        Assert.Equal(3, adapter.Update(table));
        Assert.Equal(100, await ScalarAsync(connection, "SELECT v FROM t WHERE id = 1"));
        Assert.Equal(0, await ScalarAsync(connection, "SELECT COUNT(*) FROM t WHERE id = 2"));
        Assert.Equal(300, await ScalarAsync(connection, $"SELECT v FROM t WHERE id = {Rows + 1}"));
    }

    private static (int Id, string Name) Row(int id) => (id, new string((char)('a' + (id % 26)), 30));

    private static async Task<DbDataReader> ReaderAsync(DbConnection connection)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT id, name FROM t ORDER BY id";
        return await command.ExecuteReaderAsync();
    }

    private async Task<DbConnection> WithRowsAsync(PooledDataSource? pool = null)
    {
        DbConnection connection = await (pool ?? Fixture.CreatePool()).OpenConnectionAsync();
        await ExecuteAsync(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT, name VARCHAR(40))");
        await ExecuteAsync(
            connection,
            "INSERT INTO t VALUES " + string.Join(", ", Enumerable.Range(1, Rows).Select(
                static id => string.Create(CultureInfo.InvariantCulture, $"({id}, {id}, '{Row(id).Name}')"))));
        return connection;
    }

    private sealed record Left
    {
        public int LeftId { get; init; }

        public int V { get; init; }
    }

    private sealed record Right
    {
        public int RightId { get; init; }

        public string Name { get; init; } = "";
    }
}
