using System.Data.Common;
using System.Net.Sockets;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql.Budget;

/// <summary>Looks at the sessions of dead processes on the server, and kills until the server knows none
/// (INV-2).</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class ReclaimTests
{
    [Fact]
    public async Task Look_EveryKindOfSession_IsToldWithItsIncarnation()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl("silo-1");
        PooledDataSource pool = server.CreatePool(control, 2);
        await using DbConnection used = await pool.OpenConnectionAsync();
        (MySqlConnection dead, DeploymentSession deadSession) = await server.ConnectDeadAsync("silo-2");

        // An unregistered session: between its handshake and its registration, or of another application.
        await using MySqlConnection stranger = await server.ConnectAsync();
        (MySqlConnection gone, DeploymentSession goneSession) = await server.ConnectDeadAsync("silo-3");
        await gone.CloseAsync();

        ServerLook look = await control.LookAsync();
        Assert.False(look.IsSettled);
        Assert.Equal(200, look.MaxConnections);
        Assert.Contains(deadSession, look.Sessions);
        Assert.Contains(
            look.Sessions, session => session.Id == stranger.ServerThread && session.Incarnation is null);
        Assert.Equal(2, look.Sessions.Count(session => session.Incarnation == "silo-1"));
        Assert.Single(look.Sessions, session => session is { Incarnation: "silo-1", IsControl: true });
        Assert.DoesNotContain(look.Sessions, session => session.Id == server.Root.ServerThread);

        // The closed session's row is removed after the server has confirmed that it does not know the session.
        await server.UntilAsync(
            "the row of a closed session gone", async () => await server.RowsAsync("Incarnation = 'silo-3'") == 0);
        Assert.DoesNotContain(goneSession, (await control.LookAsync()).Sessions);
        await dead.DisposeAsync();
        await gone.DisposeAsync();
    }

    [Fact]
    public async Task Look_OneOrdinaryAccountForAll_SeesItsOwn()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl("silo-1", server.ConnectionString);
        (MySqlConnection dead, DeploymentSession session) = await server.ConnectDeadAsync("silo-2");

        // Registered by an account whose sessions this one may not see: it counts until the server confirms that it is
        // gone.
        await ExecuteAsync(
            server.Root, "INSERT INTO upool_session (Server, ConnectionId, Host, Account, Incarnation, IsControl) "
                + $"VALUES ('{session.Server}', 4000000, '10.0.0.1:1', 'upool_before', 'silo-3', FALSE)");
        for (int i = 0; i < 2; i++)
        {
            ServerLook look = i == 0 ? await control.LookAsync() : await control.FreshLookAsync();
            Assert.Equal(i == 1, look.IsSettled);
            Assert.Contains(session, look.Sessions);
            Assert.Contains(look.Sessions, one => one is { Id: 4000000, Incarnation: "silo-3" });
        }

        await control.EndAsync([session]);
        Assert.DoesNotContain(session, (await control.LookAsync()).Sessions);
        Assert.Equal(1, await server.RowsAsync("Incarnation = 'silo-3'"));
        await dead.DisposeAsync();
    }

    [Fact]
    public async Task End_IdleScanningAndWaitingForALock_CompletesWhenTheServerCountsNoneOfThem()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();
        await ExecuteAsync(server.Root, "CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE = InnoDB");
        await ExecuteAsync(server.Root, "INSERT INTO t VALUES (1, 1)");
        await ExecuteAsync(server.Root, "BEGIN");
        await ExecuteAsync(server.Root, "UPDATE t SET v = 2 WHERE id = 1");

        // A killed or stopped process: its sessions run on, and nothing reads their results.
        List<MySqlConnection> dead = [];
        List<Task> running = [];
        foreach (string statement in (string[])[
            "SELECT 1",
            $"SELECT COUNT(*) FROM {Sql.Sequence(100_000, "a")}, "
                + $"{Sql.Sequence(100_000, "b")} WHERE a.seq * b.seq = -1",
            "UPDATE t SET v = 3 WHERE id = 1",
            "DO SLEEP(3600)",
            "DO GET_LOCK('upool', 3600)"])
        {
            (MySqlConnection connection, _) = await server.ConnectDeadAsync("silo-2");
            dead.Add(connection);
            running.Add(ExecuteAsync(connection, statement));
        }

        await server.UntilAsync("four at work", async () => await ScalarAsync(
            server.Root,
            $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = 'upool' AND COMMAND = 'Query'") == 3);
        ServerLook look = await control.FreshLookAsync();
        Assert.True(look.IsSettled);
        DeploymentSession[] theirs = [.. look.Sessions.Where(session => session.Incarnation == "silo-2")];
        Assert.Equal(5, theirs.Length);
        await OpenLaneAsync(control);
        long before = await server.ConnectedAsync();
        await control.EndAsync(theirs);

        // The server's own count at this moment: no permit may be free earlier.
        Assert.Equal(before - 5, await server.ConnectedAsync());
        Assert.DoesNotContain((await control.LookAsync()).Sessions, session => session.Incarnation == "silo-2");
        Assert.Equal(0, await server.RowsAsync("Incarnation = 'silo-2'"));
        await ExecuteAsync(server.Root, "ROLLBACK");
        foreach (Task one in running) await Record.ExceptionAsync(() => one);
        foreach (MySqlConnection connection in dead) await connection.DisposeAsync();
    }

    [Fact]
    public async Task End_LargeTransaction_WaitsForItsRollback()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();
        await ExecuteAsync(server.Root, "CREATE TABLE big (id INT PRIMARY KEY, v CHAR(200)) ENGINE = InnoDB");
        (MySqlConnection dead, DeploymentSession session) = await server.ConnectDeadAsync("silo-2");
        await ExecuteAsync(dead, "BEGIN");
        await ExecuteAsync(dead, $"INSERT INTO big SELECT seq, 'x' FROM {Sql.Sequence(100_000)}");
        await control.LookAsync();
        await OpenLaneAsync(control);
        long with = await server.ConnectedAsync();
        Task end = control.EndAsync([session]);
        int counted = 0;
        while (!end.IsCompleted)
        {
            // The order matters: the count is read before the check whether the end was confirmed.
            bool isCounted = await server.ConnectedAsync() == with;
            if (end.IsCompleted) break;

            counted += isCounted ? 1 : 0;

            // While the session rolls back, every look must include it.
            Assert.True(
                !isCounted || (await control.LookAsync()).Sessions.Contains(session)
                    || await server.ConnectedAsync() < with);
        }

        Assert.Equal(with - 1, await server.ConnectedAsync());
        Assert.True(counted > 0, "the rollback ended at once: the test waited for nothing");
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"not answered at {counted} looks, at which the server still counted it");
        await dead.DisposeAsync();
    }

    [Fact]
    public async Task End_IdOfAnother_IsLeftAlone()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();
        (MySqlConnection alive, DeploymentSession session) = await server.ConnectDeadAsync("silo-2");
        await control.EndAsync([session with { Host = "10.0.0.9:9999" }]);
        Assert.Equal(1, await ScalarAsync(alive, "SELECT 1"));
        Assert.Equal(1, await server.RowsAsync("Incarnation = 'silo-2'"));
        await alive.DisposeAsync();
    }

    [Fact]
    public async Task FreshLook_OpensAbandonedAtAFrozenServer_AreOverWhenItAnswers()
    {
        const int Abandoned = 100;
        await using BudgetServer server = await BudgetServer.StartAsync(arguments: "--back-log=300");
        ControlConnections control = server.CreateControl();
        await OpenLaneAsync(control);
        for (int round = 0; round < 5; round++)
        {
            await control.FreshLookAsync();
            long known = await server.ConnectedAsync();
            server.Server.Freeze();
            for (int i = 0; i < Abandoned; i++)
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync("127.0.0.1", server.Server.Port);
            }

            // The look queues behind them in the accept queue. Existing sessions get no answer before the thaw either.
            Task<ServerLook> looking = control.FreshLookAsync();
            server.Server.Thaw();
            ServerLook look = await looking;
            Assert.True(look.IsSettled);
            Assert.InRange(await server.ConnectedAsync(), 1, known);
        }
    }

    [Fact]
    public async Task FreshLook_SomebodyStillLogsIn_IsNotSettledUntilThatIsOver()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();

        // Accepted and silent: a process that was stopped during its handshake.
        using (var socket = new TcpClient())
        {
            await socket.ConnectAsync("127.0.0.1", server.Server.Port);
            await server.UntilAsync("the login", async () => await ScalarAsync(
                server.Root,
                $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE USER = 'unauthenticated user'") == 1);
            Assert.False((await control.FreshLookAsync()).IsSettled);
        }

        Assert.True((await control.FreshLookAsync()).IsSettled);
    }

    [Fact]
    public async Task FreshLook_ManyTimes_NeverTakesMoreThanTwoConnections()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();
        await control.FreshLookAsync();
        HashSet<long> ids = [];
        for (int i = 0; i < 50; i++)
        {
            ServerLook look = await control.FreshLookAsync();
            Assert.True(look.IsSettled);
            ids.Add(look.Sessions.Max(session => session.Id));
        }

        // A new session each time.
        Assert.Equal(50, ids.Count);
        long most = long.Parse((await MySqlPoolTests.StatusAsync(server.Root, "Max_used_connections"))!);
        Assert.InRange(most - 1, 1, ControlConnections.MaxConnections);
    }

    /// <summary>A fresh look replaces the storage's session, whose end the lane would have to confirm; while the lane
    /// is silent, membership keeps its session.</summary>
    [Fact]
    public async Task FreshLook_LaneIsSilent_IsRefusedAndTheStorageKeepsItsSession()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        await using TcpRelay relay = TcpRelay.Start(server.Server.Port);
        ControlConnections control = server.CreateControl(
            connectionString: new MySqlConnectionStringBuilder(server.Server.ControlConnectionString())
            {
                Port = (uint)relay.Port,
            }.ConnectionString);
        await control.KillLane.KillStatementAsync(default);
        Assert.Equal(1, relay.Accepted);
        relay.Silence();
        long before = await IdAsync();

        RentRefusedException refused =
            await Assert.ThrowsAsync<RentRefusedException>(() => control.FreshLookAsync());

        Assert.Equal(RefusalReason.Unavailable, refused.Reason);
        Assert.Contains("has not answered a control connection", refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, await IdAsync());

        async Task<long> IdAsync()
        {
            await using DbConnection connection = await control.Storage.OpenConnectionAsync();
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = "SELECT CONNECTION_ID()";
            return Convert.ToInt64(await command.ExecuteScalarAsync());
        }
    }

    [Fact]
    public async Task Look_ServerAway_ThrowsInTime()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        ControlConnections control = server.CreateControl();
        await control.LookAsync();
        await server.Server.KillAsync();
        await Assert.ThrowsAnyAsync<DbException>(() => control.LookAsync());
        await Assert.ThrowsAnyAsync<DbException>(() => control.FreshLookAsync());
        await server.Server.StartAsync();
        await server.ConnectRootAsync();
    }

    [Fact]
    public async Task Close_ControlAccountMayNotSeeThePools_PermitIsHeldUntilItMayAndTheProblemIsTold()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        string account = await server.CreateAccountAsync("upool_blind");
        ControlConnections control = server.CreateControl(incarnation: null, account);
        (MySqlConnection alive, DeploymentSession session) = await server.ConnectDeadAsync("silo-2");

        // Not listed for this account, but it still exists: "not visible" does not mean "gone".
        Task gone = control.KillLane.WaitUntilGoneAsync(new ServerSession(session.Id, session.Host));
        await server.UntilAsync("the problem", () => Task.FromResult(control.Health.Problem is not null));
        Assert.Contains("(error 1095): grant their account PROCESS", control.Health.Problem, StringComparison.Ordinal);
        await Task.Delay(TimeSpan.FromSeconds(3), TestContext.Current.CancellationToken);
        Assert.False(gone.IsCompleted);
        Assert.Equal(1, await ScalarAsync(alive, "SELECT 1"));

        // Other questions are answered meanwhile, and the storage works.
        await using (DbConnection storage = await control.Storage.OpenConnectionAsync())
            await control.KillLane.WaitUntilGoneAsync(new ServerSession(999_999, "10.0.0.1:1"));

        await ExecuteAsync(
            server.Root, $"GRANT PROCESS, {Sql.ConnectionAdmin} ON *.* TO 'upool_blind'@'%'");
        await gone.WaitAsync(TimeSpan.FromSeconds(10));
        await server.UntilAsync("healthy", () => Task.FromResult(control.Health.IsHealthy));
        await alive.DisposeAsync();
    }

    /// <summary>A session keeps the rights that it began with, so the lane tries new sessions. Here a closed one stays
    /// on the server until it is killed, and there is never one too many (INV-2).</summary>
    [Fact]
    public async Task Close_IsDenied_LaneTriesNewSessionsWithoutAThirdControlConnection()
    {
        await using BudgetServer server = await BudgetServer.StartAsync();
        await using TcpRelay relay = TcpRelay.Start(server.Server.Port);
        relay.LosesEnds = true;
        string account = new MySqlConnectionStringBuilder(await server.CreateAccountAsync("upool_blind"))
        {
            Port = (uint)relay.Port,

            // The relay recognizes COM_QUIT only without TLS.
            SslMode = MySqlSslMode.None,
            AllowPublicKeyRetrieval = true,
        }.ConnectionString;
        ControlConnections control = server.CreateControl(incarnation: null, account);
        (MySqlConnection alive, DeploymentSession session) = await server.ConnectDeadAsync("silo-2");
        await using (DbConnection storage = await control.Storage.OpenConnectionAsync())
            Assert.Equal(1, await ScalarAsync(storage, "SELECT 1"));
        await OpenLaneAsync(control);
        long all = await server.ConnectedAsync();
        Assert.Equal(2 + ControlConnections.MaxConnections, all);
        await ExecuteAsync(server.Root, "FLUSH STATUS");
        int before = relay.Accepted;

        Task gone = control.KillLane.WaitUntilGoneAsync(new ServerSession(session.Id, session.Host));
        await server.UntilAsync(
            "the lane's third new session", () => Task.FromResult(relay.Accepted >= before + 3), 60);
        Assert.False(gone.IsCompleted);
        Assert.Equal($"{all}", await MySqlPoolTests.StatusAsync(server.Root, "Max_used_connections"));

        await ExecuteAsync(server.Root, $"GRANT PROCESS, {Sql.ConnectionAdmin} ON *.* TO 'upool_blind'@'%'");
        await gone.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.Equal($"{all}", await MySqlPoolTests.StatusAsync(server.Root, "Max_used_connections"));
        await alive.DisposeAsync();
    }

    /// <summary>Makes the lane open its session, which any request does.</summary>
    private static Task OpenLaneAsync(ControlConnections control) => control.KillLane.KillStatementAsync(default);
}
