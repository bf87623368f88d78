using k8s.Models;
using MySqlConnector;
using UPool.Deploy.Tests.Manifests;
using UPool.Testing;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Running;

/// <summary>A private MariaDB in place of the overlay's, with the schema that the overlay's Job applies.</summary>
internal sealed class Database : IAsyncDisposable
{
    private const string Accounts = "deploy/k8s/overlays/production/accounts.sql";

    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    private readonly TestCertificates? _certificates;

    private Database(DatabaseServer server, TestCertificates? certificates)
    {
        Server = server;
        _certificates = certificates;
    }

    public DatabaseServer Server { get; }

    /// <summary>As in the overlays with their own database: one account, no TLS.</summary>
    public static async Task<Database> StartAsync(Overlay overlay)
    {
        var database = new Database(await DatabaseServer.StartNewAsync(), null);
        await database.MigrateAsync(overlay);
        return database;
    }

    /// <summary>As in production: TLS with a certificate of a private authority, and the accounts of
    /// accounts.sql.</summary>
    public static async Task<Database> StartProductionAsync(Overlay overlay)
    {
        var certificates = new TestCertificates(Environment.MachineName);
        DatabaseServer server = await DatabaseServer.StartNewAsync(
            ["--bind-address=0.0.0.0", .. certificates.ServerArguments]);
        var database = new Database(server, certificates);
        string accounts = Repository.Text(Accounts, "the accounts of production");
        foreach (string account in (string[])["POOL", "CONTROL", "SCHEMA"])
            accounts = accounts.Replace($"CHANGE-ME-{account}", server.Password);

        // The script's user variables (@) are not parameters.
        var root = new MySqlConnectionStringBuilder(server.RootConnectionString) { AllowUserVariables = true };
        await using (var connection = new MySqlConnection(root.ConnectionString))
        {
            await connection.OpenAsync();
            await using var command = new MySqlCommand(accounts, connection);
            await command.ExecuteNonQueryAsync();
        }

        await database.MigrateAsync(overlay);
        return database;
    }

    /// <summary>The value of an overlay's Secret for this server.</summary>
    public string Secret(string name, string key) => (name, key) switch
    {
        ("upool-database", "pool" or "control" or "schema") when _certificates is not null => Secured(key),
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

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        _certificates?.Dispose();
    }

    // As the Job's controller does, but without its pauses: a failed pod is replaced. A pod does fail now and then: a
    // process that has just started on a busy machine takes seconds for its first TLS handshake.
    private async Task MigrateAsync(Overlay overlay)
    {
        int limit = overlay.One<V1Job>("upool-schema").Spec.BackoffLimit ?? 6;
        try
        {
            for (int failures = 0; ; failures++)
            {
                await using StandIn job = await StandIn.StartAsync(overlay, "upool-schema", Secret);
                if (await job.Process.WaitForExitAsync(Patient) == 0) return;

                Assert.True(failures < limit, job.Process.Output);
            }
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    // By the machine's name: beyond loopback, TLS is required by default.
    private string Secured(string key) => new MySqlConnectionStringBuilder(Server.ConnectionString())
    {
        Server = Environment.MachineName,
        UserID = $"upool_{key}",
        SslCa = _certificates!.Authority,
    }.ConnectionString;
}
