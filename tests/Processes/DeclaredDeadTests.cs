using MySqlConnector;

using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>A silo that the others have declared dead, or whose address a later incarnation has taken.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class DeclaredDeadTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private const string DeadInTheTable = "UPDATE upool_member SET Status = 6";

    private const string LaterLifeOfTheAddress = """
        INSERT INTO upool_member (DeploymentId, Address, Port, Generation, SiloName, HostName, Status, ProxyPort,
            StartTime, IAmAliveTime)
        SELECT DeploymentId, Address, Port, Generation + 1, SiloName, HostName, 3, ProxyPort, StartTime, IAmAliveTime
        FROM upool_member
        """;

    private const string Suspected =
        "UPDATE upool_member SET Status = 6, SuspectTimes = '127.0.0.1:1@1,2026-01-01 00:00:00.000 GMT'";

    private const string DeadWithANewName = "UPDATE upool_member SET Status = 6, SiloName = 'x', HostName = 'x'";

    private const string DeadBesideOthers = """
        INSERT INTO upool_member (DeploymentId, Address, Port, Generation, SiloName, HostName, Status, ProxyPort,
            StartTime, IAmAliveTime)
        SELECT DeploymentId, '127.0.0.7', Port, Generation, 'other', HostName, 6, ProxyPort, StartTime, IAmAliveTime
        FROM upool_member; UPDATE upool_member SET Status = 6
        """;

    [Theory]
    [InlineData(DeadInTheTable)]
    [InlineData(LaterLifeOfTheAddress)]
    [InlineData(Suspected)]
    [InlineData(DeadWithANewName)]
    [InlineData(DeadBesideOthers)]
    [InlineData(LaterLifeOfTheAddress + "; " + DeadInTheTable)]
    [InlineData(DeadInTheTable + ", IAmAliveTime = '2000-01-01'")]
    public async Task Silo_IsDeclaredDead_EndsWithOneLineAndAnExitCodeOfItsOwn(string statement)
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync(1);
        ProcessHost silo = cluster.Silos[0];
        await using (var connection = new MySqlConnection(cluster.Server.ConnectionString()))
        {
            await connection.OpenAsync();
            await using var command = new MySqlCommand(
                statement + "; UPDATE upool_member_version SET Version = Version + 1", connection);
            await command.ExecuteNonQueryAsync();
        }

        int exitCode = await silo.WaitForExitAsync(Bound);

        Assert.True(exitCode == 3, $"exit code {exitCode}\n{silo.Output}");
        Assert.Single(silo.Lines, static line => line.StartsWith(
            "uPool ends, because the other silos have declared this one dead.", StringComparison.Ordinal));
        Assert.DoesNotContain(silo.Lines, static line => line.StartsWith("   at ", StringComparison.Ordinal));
    }
}
