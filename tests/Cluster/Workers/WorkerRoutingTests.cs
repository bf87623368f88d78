using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Metadata;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

public sealed class WorkerRoutingTests
{
    [Fact]
    public async Task ReadAsync_ThreeSilos_SpreadsOverAll()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(3);

        var calls = new ConcurrentDictionary<string, int>();
        for (int call = 0; call < 300; call++)
        {
            Reply<string> reply = await cluster.AskAsync();
            calls.AddOrUpdate(reply.Value!, 1, static (_, count) => count + 1);
        }

        Assert.Equal(3, calls.Count);
        Assert.All(calls.Values, count => Assert.InRange(count, 80, 120));
    }

    [Fact]
    public async Task ReadAsync_SiloJoinsLater_GetsItsShareWithinSeconds()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(3);
        await cluster.AskAsync();
        var newcomer = await cluster.Silos.StartAdditionalSiloAsync();

        var watch = Stopwatch.StartNew();
        while ((await cluster.AskAsync()).Value != newcomer.Name)
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), "The new silo got no call within 10 s.");

        var calls = new ConcurrentDictionary<string, int>();
        for (int call = 0; call < 100; call++)
            calls.AddOrUpdate((await cluster.AskAsync()).Value!, 1, static (_, count) => count + 1);
        Assert.InRange(calls[newcomer.Name], 20, 30);
    }

    [Fact]
    public async Task WorkerGrain_ManyCallsAtOnce_RunInterleavedInOneActivation()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        const int Calls = 20;
        var allIn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        cluster.Board.OnAsk = async (asking, silo, _, _) =>
        {
            if (asking == Calls) allIn.SetResult();
            await allIn.Task;
            return Reply.Ok(silo);
        };

        Reply<string>[] replies = await Task.WhenAll(Enumerable.Range(0, Calls).Select(_ => cluster.AskAsync()))
            .WaitAsync(ProbeCluster.Bound);

        Assert.All(replies, static reply => Assert.Equal(ReplyStatus.Ok, reply.Status));
        Assert.Equal(1, cluster.Board.Activations);
    }

    [Fact]
    public async Task WorkerGrain_AttributesOfTheBase_ReachTheDerivedGrain()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);

        var manifest = cluster.Services.GetRequiredService<IClusterManifestProvider>().Current;
        GrainProperties grain = manifest.AllGrainManifests
            .SelectMany(static m => m.Grains)
            .Single(static g => g.Value.Properties[WellKnownGrainTypeProperties.TypeName] == nameof(ProbeGrain)).Value;

        Assert.Equal("none", grain.Properties[WellKnownGrainTypeProperties.GrainDirectory]);
        Assert.Equal("StatelessWorkerPlacement", grain.Properties[WellKnownGrainTypeProperties.PlacementStrategy]);
        Assert.Contains(grain.Properties, static p => p is { Key: "max-local-instances", Value: "1" });
        Assert.Equal("true", grain.Properties[WellKnownGrainTypeProperties.Reentrant], ignoreCase: true);
    }

    [Fact]
    public async Task AddWorkers_ResponseTimeouts_LieBeyondTheLongestCall()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        TimeSpan longest = cluster.Services.GetRequiredService<IOptions<WorkerClientOptions>>().Value.MaxCallTime;

        var client = cluster.Services.GetRequiredService<IOptions<ClientMessagingOptions>>();
        var silo = cluster.Silos.GetSiloServiceProvider().GetRequiredService<IOptions<SiloMessagingOptions>>();
        Assert.True(client.Value.ResponseTimeout > longest);
        Assert.True(silo.Value.ResponseTimeout > longest);
    }
}
