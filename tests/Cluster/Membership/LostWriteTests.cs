using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using MySqlConnector;
using UPool.Cluster.Membership;
using UPool.Testing;

namespace UPool.Cluster.Tests.Membership;

/// <summary>A crashed server that lost its last writes, as after a fail-over to a replica that lags.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class LostWriteTests
{
    private static readonly (string, object?)[] Key =
    [
        ("@GrainIdHash", 1), ("@GrainTypeHash", 2), ("@GrainIdN0", 3L), ("@GrainIdN1", 4L), ("@GrainTypeString", "t"),
        ("@GrainIdExtensionString", "k"), ("@ServiceId", "s"),
    ];

    /// <summary>A writer that stopped between its read and its write must not overwrite a successor's write, even if
    /// the server has lost the version that the writer holds (INV-2).</summary>
    [Fact]
    public async Task Write_VersionOfAWriteThatTheServerLost_Conflicts()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync("--innodb-flush-log-at-timeout=2700");
        await using var dataSource = new MySqlDataSource(new MySqlConnectionStringBuilder(server.RootConnectionString)
        {
            Database = DatabaseServer.DefaultDatabase,
            Pooling = false,
        }.ConnectionString);
        await SchemaMigrator.ApplyAsync(dataSource, ClusterSchema.Scripts, NullLogger.Instance);
        string kept = await WriteAsync(dataSource, null, 1);

        // From here on a commit stays in the server's memory and is lost with it.
        await ExecuteAsync(dataSource, "SET GLOBAL innodb_flush_log_at_trx_commit = 0");
        string lost = await WriteAsync(dataSource, kept, 2);
        await server.KillAsync();
        await server.StartAsync();
        Assert.Equal(kept, await ExecuteAsync(dataSource, "SELECT Version FROM upool_grain_state"));
        string successors = await WriteAsync(dataSource, kept, 3);

        Assert.Equal("", await WriteAsync(dataSource, lost, 4));

        Assert.Equal(successors, await ExecuteAsync(dataSource, "SELECT Version FROM upool_grain_state"));
        Assert.Equal("03", await ExecuteAsync(dataSource, "SELECT HEX(PayloadBinary) FROM upool_grain_state"));
    }

    /// <summary>Returns the new version, "" for a conflict.</summary>
    private static async Task<string> WriteAsync(MySqlDataSource dataSource, string? version, byte payload) =>
        await ExecuteAsync(
            dataSource,
            await ExecuteAsync(dataSource, "SELECT QueryText FROM OrleansQuery WHERE QueryKey = 'WriteToStorageKey'"),
            [.. Key, ("@GrainStateVersion", version), ("@PayloadBinary", new[] { payload })]);

    private static async Task<string> ExecuteAsync(
        MySqlDataSource dataSource, string text, params (string Name, object? Value)[] parameters)
    {
        await using MySqlConnection connection = await dataSource.OpenConnectionAsync();
        await using var command = new MySqlCommand(text, connection);
        foreach ((string name, object? value) in parameters) command.Parameters.AddWithValue(name, value);
        object? first = await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
        return Convert.ToString(first, CultureInfo.InvariantCulture) ?? "";
    }
}
