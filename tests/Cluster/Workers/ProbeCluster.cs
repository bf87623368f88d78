using Microsoft.Extensions.DependencyInjection;
using Orleans.Configuration;
using Orleans.TestingHost;
using UPool.Cluster.Registration;
using UPool.Cluster.Workers;
using UPool.Sqlite;

namespace UPool.Cluster.Tests.Workers;

/// <summary>A cluster of silos in this process, with an external client.</summary>
public sealed class ProbeCluster : IAsyncDisposable
{
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(15);

    private readonly InProcessTestCluster _cluster;
    private readonly string _folder;

    private ProbeCluster(InProcessTestCluster cluster, Board board, string folder)
    {
        _cluster = cluster;
        _folder = folder;
        Board = board;
    }

    public Board Board { get; }

    public InProcessTestCluster Silos => _cluster;

    public WorkerClient<IProbeGrain> Client => Services.GetRequiredService<WorkerClient<IProbeGrain>>();

    public IServiceProvider Services => _cluster.Client.ServiceProvider;

    public static async Task<ProbeCluster> StartAsync(
        short silos, Action<WorkerClientOptions>? configure = null)
    {
        string folder = Directory.CreateTempSubdirectory("upool-probe-").FullName;
        var board = new Board();
        var builder = new InProcessTestClusterBuilder(silos);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.AddWorkers();
            silo.Services.AddSingleton(board);
            silo.Services.AddSingleton(_ => SqlitePool.Create(
                Path.Combine(folder, "probe.db"), new PoolOptions { MaxConnections = 64, RentTimeout = Bound }));
        });
        builder.ConfigureClient(client =>
        {
            client.AddWorkers();
            client.Services.Configure<GatewayOptions>(o => o.GatewayListRefreshPeriod = TimeSpan.FromSeconds(1));
            if (configure is not null) client.Services.Configure(configure);
        });
        InProcessTestCluster cluster = builder.Build();
        await cluster.DeployAsync();
        return new ProbeCluster(cluster, board, folder);
    }

    public Task<Reply<string>> AskAsync(Deadline deadline = default, CancellationToken token = default) =>
        Client.ReadAsync<string>(static (grain, due, t) => grain.Ask(due, t), deadline, token);

    public Task<Reply<string>> RawAsync(Deadline deadline = default, CancellationToken token = default) =>
        Client.ReadAsync<string>(static (grain, due, t) => grain.Raw(due, t), deadline, token);

    public Task<Reply<string>> WriteAsync(Deadline deadline = default, CancellationToken token = default) =>
        Client.WriteAsync<string>(static (grain, due, t) => grain.Write(due, t), deadline, token);

    public Task<Reply<string>> WriteRawAsync(Deadline deadline = default, CancellationToken token = default) =>
        Client.WriteAsync<string>(static (grain, due, t) => grain.Raw(due, t), deadline, token);

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
