using System.Globalization;

using MySqlConnector;

using UPool.Deploy.Tests.Manifests;
using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>A deployment as the manifests describe it: database, schema, silos, API.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    // One for the accounts, one to read the table.
    private const int OwnSessions = 2;

    // Two busy cores may keep a request for longer than its default deadline; that is not what is tested here.
    private static readonly Dictionary<string, string?> Patience =
        new() { ["UPool__Http__RequestTimeout"] = "00:00:10" };

    private Cluster(Database database, Workload? silos, Workload apis, int? serverConnections)
    {
        ServerConnections = serverConnections;
        Database = database;
        Silos = silos!;
        Apis = apis;
    }

    public Database Database { get; }

    /// <summary>The budget of all sessions on the server; null without a budget.</summary>
    public int? ServerConnections { get; }

    /// <summary>Null if the silos run inside the API processes.</summary>
    public Workload Silos { get; }

    public Workload Apis { get; }

    public string Output => $"{Silos?.Output}\n\n{Apis.Output}";

    /// <summary>As in production: TLS, three accounts, a budget.</summary>
    public static async Task<Cluster> StartProductionAsync()
    {
        Overlay overlay = await Overlay.RenderAsync("production");
        Database database = await Database.StartProductionAsync(overlay);
        return new Cluster(
            database,
            new Workload(overlay, "upool-silo", database.Secret),
            new Workload(overlay, "upool-api", database.Secret, Patience),
            Settings.NumberOf(overlay, overlay.Pod("upool-silo"), "UPool__Budget__ServerConnections"));
    }

    /// <summary>Every API process contains a silo.</summary>
    public static async Task<Cluster> StartCohostedAsync()
    {
        Overlay overlay = await Overlay.RenderAsync("cohosted");
        Database database = await Database.StartAsync(overlay);
        return new Cluster(database, null, new Workload(overlay, "upool-api", database.Secret, Patience), null);
    }

    /// <summary>Silos and API processes without TLS and without a budget.</summary>
    /// <param name="settings">Override the manifest's environment.</param>
    public static async Task<Cluster> StartDevAsync(IReadOnlyDictionary<string, string?> settings)
    {
        Overlay overlay = await Overlay.RenderAsync("dev");
        Database database = await Database.StartAsync(overlay);
        return new Cluster(
            database, new Workload(overlay, "upool-silo", database.Secret, settings),
            new Workload(overlay, "upool-api", database.Secret, settings), null);
    }

    /// <summary>Scales silos and API processes to these numbers. On return, added processes are ready and surplus ones
    /// have ended.</summary>
    public async Task ScaleAsync(int silos, int apis)
    {
        // Both at once, as 'kubectl apply' starts them: a process waits for the ones that it needs.
        await Task.WhenAll(Silos?.ScaleAsync(silos) ?? Task.CompletedTask, Apis.ScaleAsync(apis));
        await SettleAsync();
    }

    /// <summary>Waits until every process that was told to stop has ended.</summary>
    public async Task SettleAsync()
    {
        if (Silos is not null) await Silos.SettleAsync();
        await Apis.SettleAsync();
    }

    /// <summary>Asserts that the server stores what it acknowledged to a load.</summary>
    public async Task AssertStoredAsync(Load load)
    {
        Dictionary<long, string> stored = [];
        await using MySqlConnection connection = await Database.OpenAsync();
        await using (var command = new MySqlCommand("SELECT id, name FROM tb1 WHERE name LIKE @names", connection))
        {
            command.Parameters.AddWithValue("@names", $"{load.Name} %");
            await using MySqlDataReader reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync()) stored[reader.GetInt64(0)] = reader.GetString(1);
        }

        Assert.NotEmpty(load.Acknowledged);
        Assert.All(load.Acknowledged, pair => Assert.Equal(pair.Value, stored.GetValueOrDefault(pair.Key)));

        // No write was silently sent twice.
        Assert.Equal(stored.Count, stored.Values.Distinct().Count());

        // The server's own maximum of concurrent sessions, including this test's.
        await using var most = new MySqlCommand("SHOW GLOBAL STATUS LIKE 'Max_used_connections'", connection);
        await using MySqlDataReader count = await most.ExecuteReaderAsync();
        Assert.True(await count.ReadAsync());
        int sessions = int.Parse(count.GetString(1), CultureInfo.InvariantCulture);
        TestContext.Current.TestOutputHelper?.WriteLine($"at most {sessions} sessions on the server");
        if (ServerConnections is { } budget) Assert.True(sessions <= budget + OwnSessions);
    }

    public async ValueTask DisposeAsync()
    {
        await Apis.DisposeAsync();
        if (Silos is not null) await Silos.DisposeAsync();
        await Database.DisposeAsync();
    }
}
