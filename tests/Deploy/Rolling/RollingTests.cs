using System.Diagnostics;
using System.Globalization;
using System.Net;
using MySqlConnector;
using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>
/// The manifests under a steady load, with real processes in the place of pods: what is done on purpose costs no
/// request, and what is lost is lost for seconds.
/// </summary>
[Collection(Alone.Name)]
public sealed class RollingTests
{
    /// <summary>How often each test does what it does; the long form of docs/reliability.md takes more.</summary>
    public const string RoundsVariable = "UPOOL_ROLLING_ROUNDS";

    // One for the accounts, one to look at the table.
    private const int OwnSessions = 2;

    private static readonly int Rounds =
        int.TryParse(Environment.GetEnvironmentVariable(RoundsVariable), out int rounds) ? rounds : 1;

    [Fact]
    public async Task Roll_EverySiloThenEveryApi_NoRequestFails()
    {
        await using Cluster cluster = await Cluster.StartAsync(silos: 2, apis: 2);
        await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
        await using var load = new Load(proxy.EndPoint);
        await load.MoreAsync(300);
        for (int round = 0; round < Rounds; round++)
        {
            await cluster.Silos.RollAsync();
            await cluster.Apis.RollAsync();
        }

        await cluster.SettleAsync();
        await load.MoreAsync(300);
        await load.StopAsync();

        Print($"{2 * Rounds} silos and {2 * Rounds} API processes replaced in {load.Elapsed.TotalSeconds:0} s: "
            + load.Report);
        Assert.True(load.Failures.Count == 0, $"{load.Report}\n{cluster.Output}");
        await AssertStoredAsync(cluster, load);
    }

    [Fact]
    public async Task Roll_ProcessesWithASiloInside_NoRequestFails()
    {
        await using Cluster cluster = await Cluster.StartCohostedAsync(2);
        await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
        await using var load = new Load(proxy.EndPoint);
        await load.MoreAsync(300);
        for (int round = 0; round < Rounds; round++) await cluster.Apis.RollAsync();
        await cluster.SettleAsync();
        await load.MoreAsync(300);
        await load.StopAsync();

        Print($"{2 * Rounds} processes with a silo inside replaced in {load.Elapsed.TotalSeconds:0} s: {load.Report}");
        Assert.True(load.Failures.Count == 0, $"{load.Report}\n{cluster.Output}");
        await AssertStoredAsync(cluster, load);
    }

    // Shows that the tests above would see a failure: readiness is what keeps requests away from who stops.
    [Fact]
    public async Task Roll_ProxyIgnoresReadiness_RequestsFail()
    {
        await using Cluster cluster = await Cluster.StartCohostedAsync(1);
        await using var proxy = new Proxy(() => cluster.Apis.RunningEndPoints("http"));
        await using var load = new Load(proxy.EndPoint);
        await load.MoreAsync(300);
        await cluster.Apis.RollAsync();
        await cluster.SettleAsync();
        await load.MoreAsync(300);
        await load.StopAsync();

        Print($"1 process with a silo inside replaced behind a proxy that ignores readiness: {load.Report}");
        Assert.NotEmpty(load.Failures);
    }

    [Fact]
    public async Task Scale_SilosFromOneToFourToOne_NoRequestFails()
    {
        await using Cluster cluster = await Cluster.StartAsync(silos: 1, apis: 1);
        await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
        await using var load = new Load(proxy.EndPoint);
        await load.MoreAsync(300);
        for (int round = 0; round < Rounds; round++)
        {
            await cluster.Silos.ScaleAsync(4);
            await load.MoreAsync(600);
            await cluster.Silos.ScaleAsync(1);
            await cluster.SettleAsync();
            await load.MoreAsync(300);
        }

        await load.StopAsync();

        Print($"silos from 1 to 4 to 1, {Rounds} times in {load.Elapsed.TotalSeconds:0} s: {load.Report}");
        Assert.True(load.Failures.Count == 0, $"{load.Report}\n{cluster.Output}");
        await AssertStoredAsync(cluster, load);
    }

    [Fact]
    public async Task Kill_OneSiloThenAll_ReadsSucceedAndTheClusterIsBackInSeconds()
    {
        await using Cluster cluster = await Cluster.StartAsync(silos: 3, apis: 1);
        await using var proxy = new Proxy(() => cluster.Apis.ReadyEndPoints("http"));
        await using (var load = new Load(proxy.EndPoint))
        {
            await load.MoreAsync(300);
            TimeSpan killedAt = load.Elapsed;
            cluster.Silos.Pods[1].Process.Kill9();
            await load.MoreAsync(1_500);
            await load.StopAsync();

            // Each read has a retry left inside its deadline; a write that was under way is unknown, and says so.
            Failure[] writes = [.. load.Failures.Where(one => one.IsWrite)];
            string blip = writes.Length == 0
                ? "no write failed"
                : $"writes failed until {(writes.Max(one => one.At) - killedAt).TotalSeconds:0.0} s after it";
            Print($"one of 3 silos killed: {blip}; {load.Report}");
            Assert.True(load.Failures.All(one => one.IsWrite), $"{load.Report}\n{cluster.Output}");
            Assert.All(writes, one => Assert.StartsWith("50", one.What, StringComparison.Ordinal));
            await AssertStoredAsync(cluster, load);
        }

        IReadOnlyList<StandIn> all = cluster.Silos.Pods;
        foreach (StandIn pod in all) pod.Process.Kill9();
        foreach (StandIn pod in all) await pod.Process.WaitForExitAsync(TimeSpan.FromSeconds(10));
        long startedAt = Stopwatch.GetTimestamp();
        await cluster.Silos.ScaleAsync(1);
        TimeSpan joined = Stopwatch.GetElapsedTime(startedAt);
        await UntilServedAsync(proxy.EndPoint);
        TimeSpan served = Stopwatch.GetElapsedTime(startedAt);

        Print($"all silos killed: one more has joined after {joined.TotalSeconds:0.0} s, and serves after "
            + $"{served.TotalSeconds:0.0} s");

        // Orleans' own defaults take 97 s.
        Assert.True(served < TimeSpan.FromSeconds(60), cluster.Output);
    }

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

    private static async Task AssertStoredAsync(Cluster cluster, Load load)
    {
        Dictionary<long, string> stored = [];
        await using MySqlConnection connection = await cluster.Database.OpenAsync();
        await using (var command = new MySqlCommand("SELECT id, name FROM tb1", connection))
        await using (MySqlDataReader reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync()) stored[reader.GetInt64(0)] = reader.GetString(1);

        Assert.NotEmpty(load.Acknowledged);
        Assert.All(load.Acknowledged, pair => Assert.Equal(pair.Value, stored.GetValueOrDefault(pair.Key)));

        // Never sent twice in silence.
        Assert.Equal(stored.Count, stored.Values.Distinct().Count());

        // The server's own count of the most sessions there ever were, this test's among them.
        await using var most = new MySqlCommand("SHOW GLOBAL STATUS LIKE 'Max_used_connections'", connection);
        await using MySqlDataReader count = await most.ExecuteReaderAsync();
        Assert.True(await count.ReadAsync());
        int sessions = int.Parse(count.GetString(1), CultureInfo.InvariantCulture);
        Print($"at most {sessions} sessions on the server");
        if (cluster.ServerConnections is { } budget) Assert.True(sessions <= budget + OwnSessions);
    }

    private static void Print(string figures) => TestContext.Current.TestOutputHelper?.WriteLine(figures);
}
