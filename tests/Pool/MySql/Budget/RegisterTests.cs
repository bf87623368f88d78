using System.Data.Common;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql.Budget;

/// <summary>Every session of a deployment with a budget registers its owner before its first use (INV-2).</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class RegisterTests
{
    [Fact]
    public async Task Open_WithIncarnation_RegistersBeforeFirstUseAndTheRowGoesWithTheSession()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl("silo-1@here:7");
        Assert.Equal("silo-1@here:7", control.Incarnation);
        PooledDataSource pool = server.CreatePool(control, 3);
        Assert.True(pool.NeedsLease);
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            // The renter's first statement finds the row, and it agrees with the process list.
            Assert.Equal("upool,silo-1@here:7,0", await TextAsync(
                connection,
                "SELECT CONCAT_WS(',', Account, Incarnation, IsControl) FROM upool_session s "
                + $"JOIN {Sql.ProcessList} p ON p.ID = s.ConnectionId AND p.HOST = s.Host "
                + "WHERE s.ConnectionId = CONNECTION_ID()"));
        }

        // A session that is reset and rented again does not register again.
        await UntilAsync(pool, s => s.Idle == 1);
        await ExecuteAsync(server.Root, "UPDATE upool_session SET Created = '2000-01-01'");
        await using (DbConnection connection = await pool.OpenConnectionAsync())
            Assert.Equal(1, await server.RowsAsync("Created < '2001-01-01'"));

        await UntilAsync(pool, s => s.Idle == 1);
        pool.Clear();
        await server.UntilAsync("the row gone", async () => await server.RowsAsync("NOT IsControl") == 0);

        // The lane's own row exists: the lane had to confirm the close.
        Assert.Equal(1, await server.RowsAsync("IsControl AND Account = 'upool_control'"));
    }

    [Fact]
    public async Task Open_WithoutIncarnation_WritesNothingAndNeedsNoLease()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        PooledDataSource pool = server.CreatePool(server.CreateControl(incarnation: null), 3);
        Assert.False(pool.NeedsLease);
        await using DbConnection connection = await pool.OpenConnectionAsync();
        Assert.Equal(0, await server.RowsAsync());
    }

    [Fact]
    public async Task Dispose_InGoodOrder_LeavesNoRow()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();
        PooledDataSource pool = server.CreatePool(control, 3);
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        await using (DbConnection storage = await control.Storage.OpenConnectionAsync())
        {
            await ExecuteAsync(storage, "SELECT 1");
            Assert.Equal(2, await server.RowsAsync());
        }

        await pool.DisposeAsync();
        await control.DisposeAsync();
        Assert.Equal(0, await server.RowsAsync());
        await server.UntilAsync("root alone", async () => await server.ConnectedAsync() == 1);
    }

    [Fact]
    public async Task Open_TableMissing_PoolSaysSoAndControlConnectionsCanMakeIt()
    {
        await using BudgetServer server = await BudgetServer.StartAsync(withTable: false);
        ControlConnections control = server.CreateControl();
        PooledDataSource pool = server.CreatePool(control, 1);
        RentResult refused = await pool.RentAsync();
        Assert.Equal(RefusalReason.Unavailable, refused.Refusal);
        Assert.Contains(
            "a session could not register itself in upool_session: there is no such table.", refused.Message,
            StringComparison.Ordinal);

        await using (DbConnection storage = await control.Storage.OpenConnectionAsync())
        {
            await ExecuteAsync(storage, "CREATE TABLE t (id INT)");
            await server.CreateTableAsync();
        }

        // The session opened before the table existed registers at its return; the pool's next open succeeds.
        await server.UntilAsync("a control row", async () => await server.RowsAsync("IsControl") >= 1);
        await UntilAsync(pool, s => s.Idle == 1, what: "the pool's own recovery");
        Assert.Equal(1, await server.RowsAsync("NOT IsControl"));
    }

    [Theory]
    [InlineData("ALTER TABLE upool_session DROP COLUMN Account", "the table is of an older version.")]
    [InlineData("REVOKE ALL ON `upool%`.* FROM upool@'%'; GRANT SELECT ON `upool%`.* TO upool@'%'", "error 1142.")]
    public async Task Open_CannotRegister_SessionIsNotUsed(string spoil, string why)
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        await ExecuteAsync(server.Root, spoil);
        PooledDataSource pool = server.CreatePool(server.CreateControl(), 1);
        RentResult refused = await pool.RentAsync();
        Assert.Equal(RefusalReason.Unavailable, refused.Refusal);
        Assert.Contains($"upool_session: {why}", refused.Message, StringComparison.Ordinal);
        await server.UntilAsync("no session", async () =>
            await ScalarAsync(server.Root, $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = 'upool'")
                == 0);
    }

    [Fact]
    public async Task Open_TableFull_SessionIsNotUsed()
    {
        await using BudgetServer server = await BudgetServer.StartAsync(arguments: "--max-heap-table-size=16384");
        var full = await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(
            server.Root, "INSERT INTO upool_session (ConnectionId, Host, Account, Incarnation, IsControl) "
                + $"SELECT seq + 1000000, '', '', '', 0 FROM {Sql.Sequence(1000)}"));
        Assert.Equal(1114, full.Number);
        PooledDataSource pool = server.CreatePool(server.CreateControl(), 1);
        Assert.Contains("upool_session: error 1114.", (await pool.RentAsync()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_Restarts_RegisterIsEmptyTheWitnessAnotherAndSessionsRegisterAgain()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();
        PooledDataSource pool = server.CreatePool(control, 2);
        await (await pool.OpenConnectionAsync()).DisposeAsync();
        await server.ConnectDeadAsync("silo-2");
        ServerLook before = await control.LookAsync();
        Assert.Equal(before.ServerStart, (await control.LookAsync()).ServerStart);
        Assert.Contains(before.Sessions, session => session.Incarnation == "silo-2");

        await server.Server.KillAsync();
        await server.Server.StartAsync();
        await server.ConnectRootAsync();
        ServerLook? after = null;
        await server.UntilAsync("a look after the restart", async () =>
        {
            try
            {
                after = await control.FreshLookAsync();
                return true;
            }
            catch (DbException)
            {
                return false;
            }
        });
        Assert.NotEqual(before.ServerStart, after!.ServerStart);
        Assert.DoesNotContain(after.Sessions, session => session.Incarnation == "silo-2");
        Assert.True(after.Uptime < TimeSpan.FromSeconds(30), $"{after.Uptime}");
        Assert.Equal(before.Server, after.Server);

        // The earlier sessions were replaced: the new register does not contain them.
        await UntilAsync(pool, s => s is { Idle: 0, Used: 0, Closing: 0 }, what: "the end of the sessions of before");
        await (await pool.OpenConnectionAsync()).DisposeAsync();
        await server.UntilAsync("its row", async () => await server.RowsAsync("Incarnation = 'silo-1'") >= 2);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("é")]
    [InlineData("'")]
    public void Incarnation_Impossible_IsRefused(string incarnation) =>
        Assert.Throws<ArgumentException>(() => new SessionRegister("db", incarnation));

    [Fact]
    public void Incarnation_TooLong_IsRefused() =>
        Assert.Throws<ArgumentException>(() => new SessionRegister("db", new string('x', 129)));

    [Fact]
    public async Task Look_WithoutIncarnation_Throws()
    {
        await using var control = new ControlConnections("Server=127.0.0.1;Port=1;User ID=u;Database=d");
        await Assert.ThrowsAsync<InvalidOperationException>(() => control.LookAsync());
        await Assert.ThrowsAsync<InvalidOperationException>(() => control.FreshLookAsync());
    }
}
