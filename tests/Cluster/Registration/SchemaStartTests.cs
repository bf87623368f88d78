using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MySqlConnector;
using Orleans.Configuration;
using UPool.Cluster.Membership;
using UPool.Cluster.Registration;
using UPool.Hosting;
using UPool.Testing;

namespace UPool.Cluster.Tests.Registration;

/// <summary>The server features that a start and a migration need, and how long they wait for the server.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class SchemaStartTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(90);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // Servers that reject an in-memory table or silently create another kind of table; a budget would fail on each. One
    // server for all cases, because its start is slow.
    [Fact]
    public async Task Start_ServerRefusesTablesInMemory_ServesWithoutABudgetAndTheApplicationsTableIsMade()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(NoMemoryTables);
        foreach (string before in (string[])
            [
                "DO 0", "SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES'", "SET GLOBAL sql_mode = ''",
                "SET GLOBAL sql_mode = 'NO_ENGINE_SUBSTITUTION,ANSI'", "SET GLOBAL max_heap_table_size = 16384",
                "CREATE TABLE upool_session (id INT) ENGINE=InnoDB", "CREATE VIEW upool_session AS SELECT 1 AS id",
            ])
        {
            await ExecuteAsync(server.RootConnectionString, "DROP DATABASE upool; CREATE DATABASE upool");
            await ExecuteAsync(In(server.RootConnectionString, "upool"), before);
            using IHost host = Silo(server.ConnectionString(), ("UPool:Cluster:MigrateAtStart", "true"));

            await host.StartAsync(Token).WaitAsync(Bound, Token);

            Assert.True(
                host.Services.GetRequiredService<IProcessStatus>() is { IsStarted: true, Health.IsHealthy: true },
                before);
            await host.StopAsync(Token);
            await AssertTableAsync(server.ConnectionString(), "mine", isThere: true);
        }
    }

    [Fact]
    public async Task Migrate_ServerRefusesTablesInMemory_MakesTheRestWithoutABudgetAndFailsWithOne()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(NoMemoryTables);
        using IHost host = Silo(server.ConnectionString());
        await host.MigrateUPoolAsync(Token);
        await AssertTableAsync(server.ConnectionString(), "mine", isThere: true);

        using IHost withBudget = Silo(server.ConnectionString(), ("UPool:Budget:ServerConnections", "100"));
        var failure = await Assert.ThrowsAsync<SchemaMigrationException>(() => withBudget.MigrateUPoolAsync(Token));

        Assert.Contains("4-session-register", failure.Message, StringComparison.Ordinal);
    }

    // The server's message would name a table, a text, an account, a host or a privilege.
    [Theory]
    [InlineData("DROP TABLE mine")]
    [InlineData("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret'")]
    [InlineData("CREATE TABLE secret (id INT, id INT)")]
    [InlineData("SELEC 'secret'")]
    [InlineData("INSERT INTO secret VALUES (1)")]
    [InlineData("CREATE USER secret IDENTIFIED BY 'secret'")]
    [InlineData("KILL 1")]
    public async Task Start_SchemaCannotBeApplied_HealthNamesACategoryAndNoWordOfTheServer(string script)
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await ExecuteAsync(database.ConnectionString, "CREATE VIEW mine AS SELECT 'secret' AS id");
        using IHost host = Silo(
            database.ConnectionString, ("UPool:Cluster:MigrateAtStart", "true"), ("Test:Script", script));
        var status = host.Services.GetRequiredService<IProcessStatus>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task start = host.StartAsync(stop.Token);

        while (status.Health.Problem is null) await Task.Delay(20, Token);
        Assert.Equal("The schema could not be applied: the log of this process says why.", status.Health.Problem);

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => start.WaitAsync(Bound, Token));
    }

    // Errors of a server that has just been started; they end while the migration waits.
    [Fact]
    public async Task Migrate_ServerIsNotReadyYet_IsAppliedWhenItIs()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using var root = new MySqlConnection(server.RootConnectionString);
        await root.OpenAsync(Token);
        await ExecuteAsync("CREATE USER fresh IDENTIFIED BY 'fresh'; GRANT ALL ON upool.* TO fresh");
        string fresh = new MySqlConnectionStringBuilder(server.ConnectionString())
        {
            UserID = "fresh",
            Password = "fresh",
        }.ConnectionString;
        foreach ((string before, string after) in ((string, string)[])
            [
                ("REVOKE ALL ON upool.* FROM fresh", "GRANT ALL ON upool.* TO fresh"),
                ("ALTER USER fresh ACCOUNT LOCK", "ALTER USER fresh ACCOUNT UNLOCK"),
                ("SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF"),
                ("DROP DATABASE upool", "CREATE DATABASE upool"),
                ("DROP USER fresh", "CREATE USER fresh IDENTIFIED BY 'fresh'; GRANT ALL ON upool.* TO fresh"),
            ])
        {
            await ExecuteAsync("DROP TABLE IF EXISTS upool.mine");
            await ExecuteAsync(before);
            using IHost host = Silo(fresh);

            Task migration = host.MigrateUPoolAsync(Token);
            await Task.WhenAny(migration, Task.Delay(TimeSpan.FromSeconds(2), Token));
            Assert.False(migration.IsCompleted, $"{before}: {migration.Exception?.Message}");
            await ExecuteAsync(after);

            await migration.WaitAsync(Bound, Token);
            await AssertTableAsync(In(server.RootConnectionString, "upool"), "mine", isThere: true);
        }

        async Task ExecuteAsync(string statement)
        {
            await using var command = new MySqlCommand(statement, root);
            await command.ExecuteNonQueryAsync(Token);
        }
    }

    [Fact]
    public async Task Migrate_DatabaseIsMadeWhileItWaits_IsApplied()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        string name = new MySqlConnectionStringBuilder(database.ConnectionString).Database;
        await ExecuteAsync(database.ConnectionString, $"DROP DATABASE `{name}`");
        using IHost host = Silo(database.ConnectionString);

        Task migration = host.MigrateUPoolAsync(Token);
        await Task.WhenAny(migration, Task.Delay(TimeSpan.FromSeconds(1), Token));
        Assert.False(migration.IsCompleted, migration.Exception?.Message);
        await ExecuteAsync(
            new MySqlConnectionStringBuilder(database.ConnectionString) { Database = "" }.ConnectionString,
            $"CREATE DATABASE `{name}`");

        await migration.WaitAsync(Bound, Token);
        await AssertTableAsync(database.ConnectionString, "mine", isThere: true);
    }

    [Fact]
    public async Task Migrate_NoTimeToWait_FailsAtOnce()
    {
        string nowhere = $"Server=127.0.0.1;Port={FreePort.Next()};User ID=x;Password=x;Database=x";
        using IHost host = Silo(nowhere, ("UPool:Cluster:MigrateTimeout", "00:00:00"));

        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => host.MigrateUPoolAsync(Token)
            .WaitAsync(Bound, Token));
    }

    // Orleans limits a silo's time to join from the start of its process; here the database comes later than that.
    [Fact]
    public async Task Start_DatabaseComesAfterMoreThanTheTimeToJoin_AllSilosLive()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        IHost[] silos = [.. Enumerable.Range(0, 3).Select(_ => Silo(database.ConnectionString, MaxJoin))];
        Task[] starts = [.. silos.Select(static silo => silo.StartAsync(Token))];
        await Task.Delay(MaxJoinTime + TimeSpan.FromSeconds(2), Token);

        using (IHost migration = Silo(database.ConnectionString)) await migration.MigrateUPoolAsync(Token);
        await Task.WhenAll(starts).WaitAsync(Bound, Token);

        // Two membership checks by the other silos: a silo wrongly declared dead would have ended this process by now.
        await Task.Delay(TimeSpan.FromSeconds(3), Token);
        Assert.All(silos, static silo => Assert.True(silo.Services.GetRequiredService<IProcessStatus>().IsStarted));
        await Task.WhenAll(silos.Select(static silo => silo.StopAsync(Token)));
        foreach (IHost silo in silos) silo.Dispose();
    }

    private static readonly TimeSpan MaxJoinTime = TimeSpan.FromSeconds(5);

    private static (string Key, string Value) MaxJoin => ("Test:MaxJoinTime", MaxJoinTime.ToString());

    private static string NoMemoryTables => ServerFamily.Tested.Name == ServerFamily.MySql
        ? "--disabled-storage-engines=MEMORY"
        : "--enforce-storage-engine=InnoDB";

    private static IHost Silo(string connectionString, params (string Key, string Value)[] settings)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings
        {
            DisableDefaults = true,
            EnvironmentName = Environments.Production,
            ContentRootPath = Path.GetTempPath(),
        });
        builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create<string, string?>("ConnectionStrings:UPool", connectionString),
            KeyValuePair.Create<string, string?>("UPool:Cluster:Mode", "MySql"),
            KeyValuePair.Create<string, string?>("UPool:Cluster:ClusterId", "schema-start"),
            KeyValuePair.Create<string, string?>("UPool:Cluster:ServiceId", "schema-start"),
            .. settings.Select(static setting => KeyValuePair.Create<string, string?>(setting.Key, setting.Value)),
        ]);
        builder.Services.AddSingleton(new SchemaScript(
            "mine", builder.Configuration["Test:Script"] ?? "CREATE TABLE IF NOT EXISTS mine (id INT PRIMARY KEY)"));
        builder.AddUPoolSilo(silo =>
        {
            if (builder.Configuration.GetValue<TimeSpan?>("Test:MaxJoinTime") is { } time)
                silo.Services.Configure<ClusterMembershipOptions>(options => options.MaxJoinAttemptTime = time);
        });
        return builder.Build();
    }

    private static async Task AssertTableAsync(string connectionString, string table, bool isThere)
    {
        await using var connection = new MySqlConnection(connectionString);
        await connection.OpenAsync(Token);
        await using var command = new MySqlCommand(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = @table",
            connection);
        command.Parameters.AddWithValue("@table", table);
        Assert.Equal(isThere ? 1L : 0L, Convert.ToInt64(await command.ExecuteScalarAsync(Token)));
    }

    private static string In(string connectionString, string database) =>
        new MySqlConnectionStringBuilder(connectionString) { Database = database }.ConnectionString;

    private static async Task ExecuteAsync(string connectionString, string statement)
    {
        await using var connection = new MySqlConnection(connectionString);
        await connection.OpenAsync(Token);
        await using var command = new MySqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync(Token);
    }
}
