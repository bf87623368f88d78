using UPool.Deploy.Tests.Manifests;
using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>A deployment as the manifests describe it: database, schema, silos, API.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    private Cluster(Database database, Workload? silos, Workload apis, int? serverConnections)
    {
        ServerConnections = serverConnections;
        Database = database;
        Silos = silos!;
        Apis = apis;
    }

    public Database Database { get; }

    /// <summary>The budget of all their sessions on the server; null without one.</summary>
    public int? ServerConnections { get; }

    /// <summary>None when they are inside the API's processes.</summary>
    public Workload Silos { get; }

    public Workload Apis { get; }

    public string Output => $"{Silos?.Output}\n\n{Apis.Output}";

    /// <summary>As in production: TLS, three accounts, a budget.</summary>
    public static async Task<Cluster> StartAsync(int silos, int apis)
    {
        Overlay overlay = await Overlay.RenderAsync("production");
        Database database = await Database.StartProductionAsync(overlay);
        var cluster = new Cluster(
            database,
            new Workload(overlay, "upool-silo", database.Secret), new Workload(overlay, "upool-api", database.Secret),
            Settings.NumberOf(overlay, overlay.Pod("upool-silo"), "UPool__Budget__ServerConnections"));
        return await cluster.StartedAsync(silos, apis);
    }

    public static async Task<Cluster> StartCohostedAsync(int apis)
    {
        Overlay overlay = await Overlay.RenderAsync("cohosted");
        Database database = await Database.StartAsync(overlay);
        var cluster = new Cluster(database, null, new Workload(overlay, "upool-api", database.Secret), null);
        return await cluster.StartedAsync(0, apis);
    }

    /// <summary>Waits until everyone who was told to end has ended.</summary>
    public async Task SettleAsync()
    {
        if (Silos is not null) await Silos.SettleAsync();
        await Apis.SettleAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Apis.DisposeAsync();
        if (Silos is not null) await Silos.DisposeAsync();
        await Database.DisposeAsync();
    }

    private async Task<Cluster> StartedAsync(int silos, int apis)
    {
        try
        {
            // Together, as 'kubectl apply' starts them: who needs others waits for them.
            await Task.WhenAll(Silos?.ScaleAsync(silos) ?? Task.CompletedTask, Apis.ScaleAsync(apis));
            return this;
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }
}
