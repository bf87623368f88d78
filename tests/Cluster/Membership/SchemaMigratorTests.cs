using Microsoft.Extensions.Logging.Abstractions;
using MySqlConnector;
using UPool.Cluster.Membership;
using UPool.Testing;

namespace UPool.Cluster.Tests.Membership;

public sealed class SchemaMigratorTests(SchemaFixture schema) : IClassFixture<SchemaFixture>
{
    private const string Everything = """
        SELECT GROUP_CONCAT(what ORDER BY what SEPARATOR '\n') FROM (
            SELECT CONCAT(table_name, '.', column_name, ' ', column_type) AS what
            FROM information_schema.columns WHERE table_schema = DATABASE()
            UNION ALL
            SELECT CONCAT('procedure ', routine_name) FROM information_schema.routines
            WHERE routine_schema = DATABASE()
            UNION ALL
            SELECT CONCAT('query ', QueryKey, ' ', SHA2(QueryText, 256)) FROM OrleansQuery) AS everything
        """;

    [Fact]
    public async Task ApplyAsync_Twice_ChangesNothing()
    {
        await schema.ExecuteAsync("INSERT INTO upool_member_version (DeploymentId, Version) VALUES ('kept', 7)");
        var before = await schema.ExecuteAsync(Everything);

        await ApplyAsync(schema.DataSource);

        Assert.Equal(before, await schema.ExecuteAsync(Everything));
        Assert.Equal("7", await schema.ExecuteAsync(
            "SELECT Version FROM upool_member_version WHERE DeploymentId = 'kept'"));
    }

    [Fact]
    public async Task ApplyAsync_EightAtOnceOnAnEmptyDatabase_AllSucceed()
    {
        await using var database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using var dataSource = new MySqlDataSource(database.ConnectionString);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ApplyAsync(dataSource)));

        await using var command = dataSource.CreateCommand(Everything);
        Assert.Equal(
            await schema.ExecuteAsync(Everything),
            await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task ApplyAsync_NewerQueryText_ReplacesTheOlder()
    {
        await schema.ExecuteAsync("INSERT INTO OrleansQuery VALUES ('Mine', 'old')");

        await ApplyAsync(schema.DataSource, new SchemaScript("mine", "-- query Mine\nSELECT @p, 'it''s new';"));

        Assert.Equal(
            "SELECT @p, 'it''s new';",
            await schema.ExecuteAsync("SELECT QueryText FROM OrleansQuery WHERE QueryKey = 'Mine'"));
        await schema.ExecuteAsync("DELETE FROM OrleansQuery WHERE QueryKey = 'Mine'");
    }

    [Fact]
    public async Task ApplyAsync_StatementFails_NamesScriptAndStatementAndFreesTheLock()
    {
        var broken = new SchemaScript("broken", "DO 1\n-- next\nSELECT * FROM not_there\n-- next\nDO 2");

        var failure = await Assert.ThrowsAsync<SchemaMigrationException>(() => ApplyAsync(schema.DataSource, broken));

        Assert.Contains("'broken', statement 2 ", failure.Message, StringComparison.Ordinal);
        Assert.Contains("not_there", failure.Message, StringComparison.Ordinal);
        Assert.Equal("1", await schema.ExecuteAsync(
            "SELECT IS_FREE_LOCK(CONCAT('upool.schema.', LEFT(SHA2(DATABASE(), 256), 40)))"));
    }

    [Fact]
    public async Task ApplyAsync_AnotherApplicationsQueries_RefusesAndKeepsThem()
    {
        await using var database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using var dataSource = new MySqlDataSource(database.ConnectionString);
        await using var prepare = dataSource.CreateCommand(
            "CREATE TABLE OrleansQuery (QueryKey VARCHAR(64) NOT NULL PRIMARY KEY, QueryText VARCHAR(8000) NOT NULL);" +
            "INSERT INTO OrleansQuery VALUES ('WriteToStorageKey', 'CALL WriteToStorage()')");
        await prepare.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        var failure = await Assert.ThrowsAsync<SchemaMigrationException>(() => ApplyAsync(dataSource));

        Assert.Contains("database of its own", failure.Message, StringComparison.Ordinal);
        await using var read = dataSource.CreateCommand("SELECT GROUP_CONCAT(QueryText) FROM OrleansQuery");
        Assert.Equal(
            "CALL WriteToStorage()", await read.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task ApplyAsync_NoDatabaseNamed_SaysSo()
    {
        await using var dataSource = new MySqlDataSource(
            new MySqlConnectionStringBuilder(schema.DataSource.ConnectionString)
            {
                Database = "",
                Password = Password(await SharedServer.GetAsync()),
            }.ConnectionString);

        var failure = await Assert.ThrowsAsync<SchemaMigrationException>(() => ApplyAsync(dataSource));

        Assert.Contains("Database=", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ApplyAsync_SessionRegister_IsInMemory() =>
        Assert.Equal("MEMORY", await schema.ExecuteAsync(
            "SELECT engine FROM information_schema.tables " +
            "WHERE table_schema = DATABASE() AND table_name = 'upool_session'"));

    private static string Password(SharedServer server) =>
        new MySqlConnectionStringBuilder(server.AdministratorConnectionString).Password;

    private static Task ApplyAsync(MySqlDataSource dataSource, params SchemaScript[] scripts) =>
        SchemaMigrator.ApplyAsync(
            dataSource, scripts.Length == 0 ? ClusterSchema.Scripts : scripts, NullLogger.Instance,
            TestContext.Current.CancellationToken);
}
