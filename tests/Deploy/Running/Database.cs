using MySqlConnector;
using UPool.Deploy.Tests.Manifests;
using UPool.Testing;

namespace UPool.Deploy.Tests.Running;

/// <summary>A private MariaDB in the place of the overlay's, with the schema that the overlay's Job applies.</summary>
internal sealed class Database : IAsyncDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    private Database(MariaDbServer server) => Server = server;

    public MariaDbServer Server { get; }

    public static async Task<Database> StartAsync(Overlay overlay)
    {
        var database = new Database(await MariaDbServer.StartNewAsync());
        try
        {
            await using StandIn job = await StandIn.StartAsync(overlay, "upool-schema", database.Secret);
            Assert.True(await job.Process.WaitForExitAsync(Patient) == 0, job.Process.Output);
            return database;
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    /// <summary>What the overlay's Secrets hold, for this server.</summary>
    public string Secret(string name, string key) => (name, key) switch
    {
        ("upool-database", "control") => Server.ControlConnectionString(),
        ("upool-database", "pool" or "schema") => Server.ConnectionString(),
        ("upool-management", "key") => "test-key",
        _ => throw new NotSupportedException($"A Secret {name} with a key {key} is not known to the tests."),
    };

    public async Task<MySqlConnection> OpenAsync()
    {
        var connection = new MySqlConnection(Server.ConnectionString());
        await connection.OpenAsync();
        return connection;
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
