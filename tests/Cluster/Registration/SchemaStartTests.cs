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

/// <summary>What a start and a migration need of the server, and how long they wait for it.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class SchemaStartTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(90);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Start_ServerRefusesTablesInMemory_ServesWithoutABudgetAndTheApplicationsTableIsMade()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(NoMemoryTables);
        using IHost host = Silo(server.ConnectionString(), ("UPool:Cluster:MigrateAtStart", "true"));

        await host.StartAsync(Token).WaitAsync(Bound, Token);

        Assert.True(host.Services.GetRequiredService<IProcessStatus>() is { IsStarted: true, Health.IsHealthy: true });
        await host.StopAsync(Token);
        await AssertTableAsync(server.ConnectionString(), "mine", isThere: true);
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

    [Fact]
    public async Task Start_SchemaCannotBeApplied_HealthNamesACategoryAndNoWordOfTheServer()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await ExecuteAsync(database.ConnectionString, "CREATE VIEW mine AS SELECT 'secret' AS id");
        using IHost host = Silo(
            database.ConnectionString, ("UPool:Cluster:MigrateAtStart", "true"), ("Test:Script", "DROP TABLE mine"));
        var status = host.Services.GetRequiredService<IProcessStatus>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task start = host.StartAsync(stop.Token);

        while (status.Health.Problem is null) await Task.Delay(20, Token);
        Assert.Equal("The schema could not be applied: the log of this process says why.", status.Health.Problem);

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => start.WaitAsync(Bound, Token));
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

    // Orleans counts the time a silo may be joining from the start of its process; the database comes later than that.
    [Fact]
    public async Task Start_DatabaseComesAfterMoreThanTheTimeToJoin_AllSilosLive()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        IHost[] silos = [.. Enumerable.Range(0, 3).Select(_ => Silo(database.ConnectionString, MaxJoin))];
        Task[] starts = [.. silos.Select(static silo => silo.StartAsync(Token))];
        await Task.Delay(MaxJoinTime + TimeSpan.FromSeconds(2), Token);

        using (IHost migration = Silo(database.ConnectionString)) await migration.MigrateUPoolAsync(Token);
        await Task.WhenAll(starts).WaitAsync(Bound, Token);

        // Two looks of the others at the table: who was to be declared dead would be by now, and end this process.
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

    private static async Task ExecuteAsync(string connectionString, string statement)
    {
        await using var connection = new MySqlConnection(connectionString);
        await connection.OpenAsync(Token);
        await using var command = new MySqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync(Token);
    }
}
