using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>
/// One cluster for all tests of a collection; each test scales it to the process counts that it needs. After a failure
/// the next test starts a new cluster, so that one failure does not cause others.
/// </summary>
public abstract class SharedCluster : IAsyncLifetime
{
    private Cluster? _cluster;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_cluster is not null) await _cluster.DisposeAsync();
        await EndAsync();
    }

    /// <summary>Runs a test on the cluster.</summary>
    internal async Task RunAsync(int silos, int apis, Func<Cluster, Task> test)
    {
        _cluster ??= await StartAsync();
        try
        {
            await _cluster.ScaleAsync(silos, apis);
            await test(_cluster);
        }
        catch
        {
            await _cluster.DisposeAsync();
            _cluster = null;
            throw;
        }
    }

    private protected abstract Task<Cluster> StartAsync();

    private protected virtual Task EndAsync() => Task.CompletedTask;
}

/// <summary>A cluster with the production manifests.</summary>
[CollectionDefinition(nameof(ProductionCluster))]
public sealed class ProductionCluster : SharedCluster, ICollectionFixture<ProductionCluster>
{
    private protected override Task<Cluster> StartAsync() => Cluster.StartProductionAsync();
}

/// <summary>A cluster of API processes that contain a silo.</summary>
[CollectionDefinition(nameof(CohostedCluster))]
public sealed class CohostedCluster : SharedCluster, ICollectionFixture<CohostedCluster>
{
    private protected override Task<Cluster> StartAsync() => Cluster.StartCohostedAsync();
}

/// <summary>A cluster without TLS and without a budget; its processes send their traces to a collector.</summary>
public sealed class DevCluster : SharedCluster
{
    internal Collector Collector { get; } = new();

    private protected override Task<Cluster> StartAsync() => Cluster.StartDevAsync(new Dictionary<string, string?>
    {
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Collector.Url,
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
    });

    private protected override Task EndAsync() => Collector.DisposeAsync().AsTask();
}
