using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql.Budget;

/// <summary>Start errors with their messages: missing rights, and servers on which no budget can be kept.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class CheckTests
{
    [Theory]
    [InlineData(null, "no PROCESS and no CONNECTION ADMIN")]
    [InlineData("PROCESS ON *.*", "no CONNECTION ADMIN,")]
    [InlineData("CONNECTION ADMIN ON *.*", "no PROCESS,")]
    [InlineData("PROCESS, CONNECTION ADMIN ON *.*", null)]
    [InlineData("PROCESS, SUPER ON *.*", null)]
    [InlineData("ALL ON *.*", null)]
    public async Task Check_ControlAccountOfItsOwn_NeedsProcessAndConnectionAdmin(string? grant, string? problem)
    {
        grant = InFamilysWords(grant);
        problem = InFamilysWords(problem);
        await using BudgetServer server = await BudgetServer.StartAsync();
        string account = await server.CreateAccountAsync("upool_other", grant is null ? [] : [grant]);
        ControlConnections control = server.CreateControl(incarnation: null, account);
        string? found = await control.CheckAsync(server.ConnectionString);
        if (problem is null) Assert.Null(found);
        else Assert.Contains($"the account of the control connections {problem}", found, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Server.Password, $"{found}", StringComparison.Ordinal);

        // The problem disappears once the rights are granted, in the same process.
        await ExecuteAsync(
            server.Root, InFamilysWords("GRANT PROCESS, CONNECTION ADMIN ON *.* TO 'upool_other'@'%'")!);
        Assert.Null(await control.CheckAsync(server.ConnectionString));
    }

    [Fact]
    public async Task Check_RightsByADefaultRole_AreSeen()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        string account = await server.CreateAccountAsync("upool_other");
        await ExecuteAsync(server.Root, "CREATE ROLE controls");
        await ExecuteAsync(server.Root, InFamilysWords("GRANT PROCESS, CONNECTION ADMIN ON *.* TO controls")!);
        await ExecuteAsync(server.Root, "GRANT controls TO 'upool_other'@'%'");
        await ExecuteAsync(server.Root, Sql.SetDefaultRole("controls", "'upool_other'@'%'"));
        Assert.Null(await server.CreateControl(incarnation: null, account).CheckAsync(server.ConnectionString));
    }

    [Fact]
    public async Task Check_OneAccountWithoutABudget_AsksNothing()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        await using var control = new ControlConnections("Server=127.0.0.1;Port=1;User ID=upool;Database=d");
        Assert.Null(await control.CheckAsync(server.ConnectionString));
        Assert.Equal(1, await server.ConnectedAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Check_BudgetOnOneServer_IsWellWithinTwoConnections(bool oneAccount)
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control =
            server.CreateControl(connectionString: oneAccount ? server.ConnectionString : null);
        for (int i = 0; i < 10; i++) Assert.Null(await control.CheckAsync(server.ConnectionString));
        long most = long.Parse((await MySqlPoolTests.StatusAsync(server.Root, "Max_used_connections"))!);
        Assert.InRange(most - 1, 1, ControlConnections.MaxConnections);
    }

    /// <summary>Off by default on MariaDB, which does not need it.</summary>
    [Fact]
    public async Task Check_WithoutPerformanceSchema_IsRefusedOnMySqlAlone()
    {
        await using BudgetServer server = await BudgetServer.StartAsync(arguments: "--performance-schema=0");
        string? found = await server.CreateControl().CheckAsync(server.ConnectionString);
        if (ServerFamily.Tested.Name == ServerFamily.MariaDb)
        {
            Assert.Null(found);
            return;
        }

        Assert.Contains(
            "cannot say when a session is gone: no budget can be kept there.", found, StringComparison.Ordinal);
        Assert.Contains("Start the server with performance_schema=ON.", found, StringComparison.Ordinal);

        // Without a budget the server is used, with one warning.
        PooledDataSource pool = server.CreatePool(server.CreateControl(incarnation: null), 2);
        for (int i = 0; i < 3; i++)
        {
            await (await pool.OpenConnectionAsync()).DisposeAsync();
            pool.Clear();
            await UntilAsync(pool, s => s is { Idle: 0, Closing: 0, Used: 0 });
        }

        Assert.Contains("Warning 1112 MySQL at 127.0.0.1", server.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_NoTable_SaysSo()
    {
        await using BudgetServer server = await BudgetServer.StartAsync(withTable: false);
        Assert.Contains(
            "lacks the table upool_session: apply the schema",
            await server.CreateControl().CheckAsync(server.ConnectionString), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_TableOnDisk_SaysSo()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        await ExecuteAsync(server.Root, "ALTER TABLE upool_session ENGINE = InnoDB");
        Assert.Contains(
            "with the engine InnoDB. It must be MEMORY",
            await server.CreateControl().CheckAsync(server.ConnectionString), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_RegisterThatOthersDoNotSee_SaysSo()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();

        // Each session has its own table of that name, as if each had reached another server.
        await ExecuteAsync(server.Root, "CREATE TABLE register LIKE upool_session");
        await ExecuteAsync(
            server.Root,
            "SET GLOBAL init_connect = 'CREATE TEMPORARY TABLE upool.upool_session LIKE upool.register'");
        Assert.Contains(
            "a row that one session writes into upool_session is not visible to another one",
            await server.CreateControl(connectionString: server.ConnectionString).CheckAsync(server.ConnectionString),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_BehindAMultiplexingProxy_SaysSo()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        await using var proxy = new HandshakeProxy(server.Server.Port);
        string through = Through(server, proxy);
        ControlConnections control = server.CreateControl(connectionString: through);
        Assert.Contains(
            "is reached through a multiplexing proxy or a local socket", await control.CheckAsync(through),
            StringComparison.Ordinal);

        // The server is not used, even by a pool that did not check.
        RentResult refused = await server.CreatePool(control, 1, through).RentAsync();
        Assert.Contains("behind a multiplexing proxy", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_AnotherPort_SaysSo()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        await using var proxy = new HandshakeProxy(server.Server.Port);
        Assert.Contains(
            "the pool leads to another server or port",
            await server.CreateControl().CheckAsync(Through(server, proxy)), StringComparison.Ordinal);
    }

    private static string? InFamilysWords(string? text) => text is null ? null : Sql.Privileges(text);

    private static string Through(BudgetServer server, HandshakeProxy proxy) =>
        new MySqlConnectionStringBuilder(server.ConnectionString) { Port = (uint)proxy.Port }.ConnectionString;
}
