using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;

using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>
/// The production manifests under a steady load, with real processes in place of pods: deliberate changes cost no
/// request, and losses cost seconds.
/// </summary>
[Collection(nameof(ProductionCluster))]
[Trait("Needs", "OwnProcesses")]
public sealed class RollingTests(ProductionCluster production)
{
    // Access denied to a database, table, column, routine or right: the pool logs the server's error number, Orleans
    // its message.
    private const string Denied = @"denied|\b(1044|1045|1142|1143|1227|1370)\b";

    [Fact]
    public Task Production_OverTlsWithItsThreeAccounts_HasThePortsAndPathsOfTheManifests() =>
        production.RunAsync(silos: 1, apis: 1, async cluster =>
        {
            StandIn silo = cluster.Silos.Pods[0];
            StandIn api = cluster.Apis.Pods[0];
            await Pods.AssertAsManifestSaysAsync(silo);
            await Pods.AssertAsManifestSaysAsync(api);

            // Each account has the rights that its work needs: a write, a read, and a clean stop.
            using var client = new HttpClient { BaseAddress = new Uri($"http://{api.EndPoint("http")}") };
            using HttpResponseMessage created = await client.PostAsJsonAsync("/user", new { name = "Ada" });
            Assert.Equal(HttpStatusCode.Created, created.StatusCode);
            Assert.Contains("Ada", await client.GetStringAsync(created.Headers.Location), StringComparison.Ordinal);
            await cluster.ScaleAsync(0, 0);
            Assert.DoesNotMatch(Denied, api.Process.Output);
            Assert.DoesNotMatch(Denied, silo.Process.Output);
        });

    [Fact]
    public Task Roll_EverySiloThenEveryApi_NoRequestFails() => production.RunAsync(silos: 2, apis: 2, async cluster =>
    {
        await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
        await using var load = new Load(proxy.EndPoint);
        await load.MoreAsync(300);
        for (int round = 0; round < Load.Rounds; round++)
        {
            await cluster.Silos.RollAsync();
            await cluster.Apis.RollAsync();
        }

        await cluster.SettleAsync();
        await load.MoreAsync(300);
        await load.StopAsync();

        load.Print($"{2 * Load.Rounds} silos and {2 * Load.Rounds} API processes replaced");
        Assert.True(load.Failures.Count == 0, $"{load.Report}\n{cluster.Output}");
        await cluster.AssertStoredAsync(load);
    });

    [Fact]
    public Task Scale_SilosFromOneToFourToOne_NoRequestFails() => production.RunAsync(1, 1, async cluster =>
    {
        await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
        await using var load = new Load(proxy.EndPoint);
        await load.MoreAsync(300);
        for (int round = 0; round < Load.Rounds; round++)
        {
            await cluster.Silos.ScaleAsync(4);
            await load.MoreAsync(600);
            await cluster.Silos.ScaleAsync(1);
            await cluster.SettleAsync();
            await load.MoreAsync(300);
        }

        await load.StopAsync();

        load.Print($"silos from 1 to 4 to 1, {Load.Rounds} times");
        Assert.True(load.Failures.Count == 0, $"{load.Report}\n{cluster.Output}");
        await cluster.AssertStoredAsync(load);
    });

    [Fact]
    public Task Kill_OneSiloThenAll_ReadsSucceedAndTheClusterIsBackInSeconds() =>
        production.RunAsync(silos: 3, apis: 1, async cluster =>
        {
            await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
            await using (var load = new Load(proxy.EndPoint))
            {
                await load.MoreAsync(300);
                TimeSpan killedAt = load.Elapsed;
                cluster.Silos.Pods[1].Process.Kill9();
                await load.MoreAsync(1_500);
                await load.StopAsync();

                // Each read has a retry left within its deadline; a write in progress is reported as unknown.
                Failure[] writes = [.. load.Failures.Where(one => one.IsWrite)];
                string blip = writes.Length == 0
                    ? "no write failed"
                    : $"writes failed until {(writes.Max(one => one.At) - killedAt).TotalSeconds:0.0} s after it";
                load.Print($"one of 3 silos killed: {blip}");
                Assert.True(load.Failures.All(one => one.IsWrite), $"{load.Report}\n{cluster.Output}");
                Assert.All(writes, one => Assert.StartsWith("50", one.What, StringComparison.Ordinal));
                await cluster.AssertStoredAsync(load);
            }

            IReadOnlyList<StandIn> all = cluster.Silos.Pods;
            foreach (StandIn pod in all) pod.Process.Kill9();
            foreach (StandIn pod in all) await pod.Process.WaitForExitAsync(TimeSpan.FromSeconds(10));
            long startedAt = Stopwatch.GetTimestamp();
            await cluster.Silos.ScaleAsync(1);
            TimeSpan joined = Stopwatch.GetElapsedTime(startedAt);
            await UntilServedAsync(proxy.EndPoint);
            TimeSpan served = Stopwatch.GetElapsedTime(startedAt);

            TestContext.Current.TestOutputHelper?.WriteLine(
                $"all silos killed: one more has joined after {joined.TotalSeconds:0.0} s, and serves after "
                + $"{served.TotalSeconds:0.0} s");

            // Orleans' defaults take 97 s.
            Assert.True(served < TimeSpan.FromSeconds(60), cluster.Output);
        });

    private static async Task UntilServedAsync(IPEndPoint server)
    {
        using var client = new StrictClient(server);
        long startedAt = Stopwatch.GetTimestamp();
        while ((await client.SendAsync("GET", "/user/list?limit=10")).Status != 200)
        {
            Assert.True(Stopwatch.GetElapsedTime(startedAt).TotalSeconds < 60, "Nobody serves.");
            await Task.Delay(50);
        }
    }
}
