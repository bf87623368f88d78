using System.Diagnostics;
using MySqlConnector;
using UPool.Testing;

namespace UPool.Cluster.Tests.Testing;

/// <summary>All tests trust their support library, so it has tests too.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class DatabaseServerTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task KillAsync_ThenStartAsync_KeepsDataPortAndAccounts()
    {
        await using var server = await DatabaseServer.StartNewAsync();
        await ExecuteAsync(server.ConnectionString(), "CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
        var port = server.Port;

        await server.KillAsync();
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(server.ConnectionString(), "SELECT 1"));
        await server.StartAsync();

        Assert.Equal(port, server.Port);
        Assert.Equal(7, await ExecuteAsync(server.ConnectionString(), "SELECT id FROM t"));
    }

    [Fact]
    public async Task StopAsync_RunningServer_EndsInGoodOrder()
    {
        await using var server = await DatabaseServer.StartNewAsync();
        var processId = server.ProcessId;

        await server.StopAsync();

        Assert.Throws<ArgumentException>(() => Process.GetProcessById(processId));
        Assert.Equal(0, server.ExitCode);
    }

    [Fact]
    public async Task Freeze_StatementSent_IsAnsweredAfterThaw()
    {
        await using var server = await DatabaseServer.StartNewAsync();
        await using var connection = new MySqlConnection(server.ConnectionString());
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new MySqlCommand("SELECT 1", connection);

        server.Freeze();
        var answer = command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<TimeoutException>(() => answer.WaitAsync(TimeSpan.FromMilliseconds(200)));
        server.Thaw();

        // MySQL's integer type is wider than MariaDB's.
        Assert.Equal("1", $"{await answer.WaitAsync(Bound)}");
    }

    [Fact]
    public async Task ConnectionString_OrdinaryAccount_LacksWhatTheControlAccountHas()
    {
        await using var server = await DatabaseServer.StartNewAsync("--max-connections=20");
        await using var ordinary = new MySqlConnection(server.ConnectionString());
        await ordinary.OpenAsync(TestContext.Current.CancellationToken);
        await using var control = new MySqlConnection(server.ControlConnectionString());
        await control.OpenAsync(TestContext.Current.CancellationToken);

        var refused = await Assert.ThrowsAsync<MySqlException>(
            () => ExecuteAsync(server.ConnectionString(), $"KILL {control.ServerThread}"));
        Assert.Equal(MySqlErrorCode.KillDenied, refused.ErrorCode);
        Assert.Equal(20, await ExecuteAsync(server.ControlConnectionString(), "SELECT @@max_connections"));
        await ExecuteAsync(server.ControlConnectionString(), $"KILL {ordinary.ServerThread}");
    }

    [Fact]
    public async Task CreateDatabaseAsync_SharedServer_GivesEachCallerItsOwn()
    {
        var shared = await SharedServer.GetAsync();
        await using var one = await shared.CreateDatabaseAsync();
        await using var two = await shared.CreateDatabaseAsync();

        await ExecuteAsync(one.ConnectionString, "CREATE TABLE t (id int)");
        var missing = await Assert.ThrowsAsync<MySqlException>(
            () => ExecuteAsync(two.ConnectionString, "SELECT COUNT(*) FROM t"));

        Assert.Equal(MySqlErrorCode.NoSuchTable, missing.ErrorCode);
    }

    private static async Task<int> ExecuteAsync(string connectionString, string statements)
    {
        await using var connection = new MySqlConnection(
            new MySqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new MySqlCommand(statements, connection);
        return Convert.ToInt32(
            await command.ExecuteScalarAsync(TestContext.Current.CancellationToken),
            System.Globalization.CultureInfo.InvariantCulture);
    }
}
