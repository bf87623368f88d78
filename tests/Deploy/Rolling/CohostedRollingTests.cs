using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>The same, with every silo inside an API process.</summary>
[Collection(nameof(CohostedCluster))]
[Trait("Needs", "OwnProcesses")]
public sealed class CohostedRollingTests(CohostedCluster cohosted)
{
    [Fact]
    public Task Cohosted_TwoProcesses_HaveThePortsAndPathsOfTheManifests() =>
        cohosted.RunAsync(silos: 0, apis: 2, async cluster =>
        {
            foreach (StandIn pod in cluster.Apis.Pods) await Pods.AssertAsManifestSaysAsync(pod);
            await Pods.AssertServesUsersAsync(cluster.Apis.Pods[1]);
        });

    [Fact]
    public Task Roll_ProcessesWithASiloInside_NoRequestFails() =>
        cohosted.RunAsync(silos: 0, apis: 2, async cluster =>
        {
            await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
            await using var load = new Load(proxy.EndPoint);
            await load.MoreAsync(300);
            for (int round = 0; round < Load.Rounds; round++) await cluster.Apis.RollAsync();
            await cluster.SettleAsync();
            await load.MoreAsync(300);
            await load.StopAsync();

            load.Print($"{2 * Load.Rounds} processes with a silo inside replaced");
            Assert.True(load.Failures.Count == 0, $"{load.Report}\n{cluster.Output}");
            await cluster.AssertStoredAsync(load);
        });

    // Shows that the other tests would detect a failure: readiness keeps requests away from a stopping process.
    [Fact]
    public Task Roll_ProxyIgnoresReadiness_RequestsFail() => cohosted.RunAsync(silos: 0, apis: 1, async cluster =>
    {
        await using var proxy = new Proxy(() => cluster.Apis.RunningEndPoints("http"));
        await using var load = new Load(proxy.EndPoint);
        await load.MoreAsync(300);
        await cluster.Apis.RollAsync();
        await cluster.SettleAsync();
        await load.MoreAsync(300);
        await load.StopAsync();

        load.Print("1 process with a silo inside replaced behind a proxy that ignores readiness");
        Assert.NotEmpty(load.Failures);
    });
}
