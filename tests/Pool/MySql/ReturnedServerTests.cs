using System.Data.Common;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;
using UPool.Tests.MySql.Budget;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>The address leads to another server, and then back.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class ReturnedServerTests
{
    private const int Permits = 2;
    private const string Account = "upool_blind";

    /// <summary>Sessions that cannot be killed stay on the former server, because their clients' close never reaches
    /// it. While the address leads elsewhere they hold no permit; after it leads back they do (INV-1).</summary>
    [Fact]
    public async Task Address_ThereAndBack_SessionsLeftBehindHoldTheirPermitsAgain()
    {
        await using BudgetServer here = await BudgetServer.StartAsync(withTable: false);
        await using BudgetServer there = await BudgetServer.StartAsync(withTable: false);
        await here.CreateAccountAsync(Account);
        await there.CreateAccountAsync(Account);
        foreach (string user in (string[])[DatabaseServer.User, Account])
            await ExecuteAsync(there.Root, $"ALTER USER '{user}'@'%' IDENTIFIED BY '{here.Server.Password}'");
        await using TcpRelay relay = TcpRelay.Start(here.Server.Port);
        relay.LosesEnds = true;
        ControlConnections control = here.CreateControl(incarnation: null, Through(relay, here, Account));
        PooledDataSource pool = here.CreatePool(control, Permits, Through(relay, here, DatabaseServer.User));
        List<DbConnection> left = await FillAsync(pool);

        await MoveAsync(relay, control, there);
        List<DbConnection> moved = await FillAsync(pool);
        Assert.Equal(Permits, await SessionsAsync(there));
        foreach (DbConnection connection in left.Concat(moved)) await connection.DisposeAsync();
        await UntilAsync(pool, static s => s is { Used: 0, Idle: Permits, Closing: 0 }, 30, "two with the other one");
        Assert.Equal(Permits, await SessionsAsync(here));

        await MoveAsync(relay, control, here);
        await UntilAsync(pool, static s => s is { Idle: 0, Closing: Permits }, 30, "those of before counted again");
        Assert.False((await pool.RentAsync(Deadline.After(TimeSpan.FromMilliseconds(300)))).IsRented);
        Assert.Equal(Permits, await SessionsAsync(here));

        // Now they can be killed, and their permits become free.
        await ExecuteAsync(here.Root, $"GRANT PROCESS, {Sql.ConnectionAdmin} ON *.* TO '{Account}'@'%'");
        await UntilAsync(pool, static s => s.Closing == 0, 30, "the permits free");
        foreach (DbConnection connection in await FillAsync(pool)) await connection.DisposeAsync();
        Assert.Equal(Permits, await SessionsAsync(here));
    }

    // The relay recognizes COM_QUIT only without TLS.
    private static string Through(TcpRelay relay, BudgetServer server, string account) =>
        new MySqlConnectionStringBuilder(server.ConnectionString)
        {
            Port = (uint)relay.Port,
            UserID = account,
            SslMode = MySqlSslMode.None,
            AllowPublicKeyRetrieval = true,
        }.ConnectionString;

    /// <summary>Moves the address: new connections go to this server, and the storage's next one finds it.</summary>
    private static async Task MoveAsync(TcpRelay relay, ControlConnections control, BudgetServer server)
    {
        relay.Target = server.Server.Port;
        ((PooledDataSource)control.Storage).Clear();
        await using DbConnection storage = await control.Storage.OpenConnectionAsync();
        Assert.Equal(server.Server.Port, await ScalarAsync(storage, "SELECT @@port"));
    }

    private static async Task<List<DbConnection>> FillAsync(PooledDataSource pool)
    {
        List<DbConnection> all = [];
        for (int i = 0; i < Permits; i++) all.Add(await pool.OpenConnectionAsync());
        return all;
    }

    private static Task<long> SessionsAsync(BudgetServer server) => ScalarAsync(
        server.Root, $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = '{DatabaseServer.User}'");
}
