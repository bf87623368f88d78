using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>
/// INV-2 with real silos, under a load that wants more than there is, on a server that would let in far more: whatever
/// is killed, stopped or restarted, the server never counts more sessions than the budget. With
/// <c>UPOOL_BUDGET_ROUNDS</c> above 1 all of it is done again so often, with the default times of leases.
/// </summary>
public sealed class BudgetTests
{
    private const string RoundsVariable = "UPOOL_BUDGET_ROUNDS";
    private const int Budget = 40;
    private const int MaxSilos = 5;

    // 40 less 5 silos with 2 control connections each, 1 client with 2, the migration's 2 and the reserve of 2.
    private const int Shared = 24;

    // More than the whole budget on each silo.
    private const int Clients = 40;

    // Looks of 50 ms each.
    private const int LooksAtOnce = 20;

    private static readonly int Rounds =
        int.TryParse(Environment.GetEnvironmentVariable(RoundsVariable), CultureInfo.InvariantCulture, out int rounds)
            ? rounds
            : 1;

    private static readonly TimeSpan LeaseDuration = TimeSpan.FromSeconds(Rounds > 1 ? 10 : 3);
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(Rounds > 1 ? 5 : 1);
    private static readonly TimeSpan ReclaimBound = TimeSpan.FromSeconds(30);

    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    [Fact]
    public async Task Budget_SilosScaledKilledAndStoppedUnderLoad_TheServerNeverCountsMore()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync(1, Settings());
        await using var witness = new ServerWitness(cluster.Server, Budget, Shared);
        await LoadAsync(cluster.Silos);
        await SaturatedAsync(cluster, witness, "one silo");
        await witness.StartAsync();
        for (int round = 0; round < Rounds; round++)
        {
            while (cluster.Silos.Count < 4) await cluster.AddSiloAsync();
            await LoadAsync(cluster.Silos);
            await SaturatedAsync(cluster, witness, "four silos");

            await KillAsync(cluster, witness, Other(cluster), "a silo was killed");
            await KillAsync(cluster, witness, Coordinator(cluster), "the coordinator's silo was killed");

            ProcessHost opening = await cluster.AddSiloAsync();
            _ = LoadAsync([opening]).ContinueWith(static _ => { }, TaskScheduler.Default);
            await Task.Delay(1);
            await KillAsync(cluster, witness, opening, "a silo was killed as it began to open");

            await FreezeAsync(cluster, witness, await cluster.AddSiloAsync());
            await FreezeAsync(cluster, witness, await cluster.AddSiloAsync(), whileOpening: true);
            while (cluster.Silos.Count < 4) await LoadAsync([await cluster.AddSiloAsync()]);
            await TerminateAsync(cluster, witness, Other(cluster));
            await TerminateAsync(cluster, witness, Coordinator(cluster));
        }
    }

    [Fact]
    public async Task Budget_DatabaseFrozenAndRestartedUnderLoad_TheServerNeverCountsMore()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync(2, Settings());
        await LoadAsync(cluster.Silos);
        await using (var witness = new ServerWitness(cluster.Server, Budget, Shared))
        {
            await witness.StartAsync();
            await SaturatedAsync(cluster, witness, "two silos");
            for (int round = 0; round < Rounds; round++)
            {
                // Long enough for every lease to run out, and for hundreds of rents to time out meanwhile.
                await witness.PauseAsync();
                cluster.Server.Freeze();
                await Task.Delay(LeaseDuration + Grace + TimeSpan.FromSeconds(1));
                cluster.Server.Thaw();
                await SaturatedAsync(cluster, null, "the database thawed");
                Print(await witness.AssertWithinAsync("frozen and thawed"));
            }
        }

        for (int round = 0; round < Rounds; round++)
        {
            await cluster.Server.KillAsync();
            await Task.Delay(TimeSpan.FromSeconds(1));
            await cluster.Server.StartAsync();
            long backAt = Stopwatch.GetTimestamp();
            await using var witness = new ServerWitness(cluster.Server, Budget, Shared);
            await SaturatedAsync(cluster, null, "the database was restarted");
            Print($"saturated {Stopwatch.GetElapsedTime(backAt).TotalSeconds:0.0} s after the server's return");
            Print(await witness.AssertWithinAsync("killed and restarted"));
        }
    }

    private static Dictionary<string, string?> Settings() => new()
    {
        // In Development silos take a load generator's commands.
        ["ASPNETCORE_ENVIRONMENT"] = "Development",
        ["DOTNET_ENVIRONMENT"] = "Development",
        ["UPool__Pool__MaxConnections"] = Budget.ToString(CultureInfo.InvariantCulture),
        ["UPool__Budget__ServerConnections"] = Budget.ToString(CultureInfo.InvariantCulture),
        ["UPool__Budget__MaxSilos"] = MaxSilos.ToString(CultureInfo.InvariantCulture),
        ["UPool__Budget__MaxClients"] = "1",
        ["UPool__Budget__RenewInterval"] = Rounds > 1 ? "00:00:01" : "00:00:00.5",
        ["UPool__Budget__LeaseDuration"] = LeaseDuration.ToString(),
        ["UPool__Budget__Grace"] = Grace.ToString(),
    };

    private static async Task KillAsync(ProcessCluster cluster, ServerWitness witness, ProcessHost silo, string what)
    {
        silo.Kill9();
        cluster.Forget(silo);
        long killedAt = Stopwatch.GetTimestamp();
        await SaturatedAsync(cluster, witness, what);
        TimeSpan took = Stopwatch.GetElapsedTime(killedAt);
        Print($"{what}: its permits in use elsewhere after {took.TotalSeconds:0.0} s");
        Assert.True(took < ReclaimBound, $"{what}: {took}\n{cluster.Output}");
    }

    /// <summary>A silo is stopped for longer than lease and grace, half of its sessions in a long scan and half waiting
    /// for a row, or while it opens; then it wakes up. The cluster may have declared it dead: then it ends
    /// itself.</summary>
    private static async Task FreezeAsync(
        ProcessCluster cluster, ServerWitness witness, ProcessHost silo, bool whileOpening = false)
    {
        if (whileOpening)
        {
            // Idle until now: the load makes it open, one after the other.
            Task load = LoadAsync([silo]);
            await Task.Delay(1);
            silo.Freeze();
            await load.ContinueWith(static _ => { }, TaskScheduler.Default);
        }
        else
        {
            await witness.HoldRowAsync();
            await LoadAsync([silo], "stuck");
            await SaturatedAsync(cluster, witness, "scans and row locks");
            silo.Freeze();
        }

        await Task.Delay(LeaseDuration + Grace);
        await SaturatedAsync(
            cluster, witness, whileOpening ? "a silo was stopped while it opened" : "a silo was stopped",
            cluster.Silos.Count - 1);
        if (!whileOpening) await witness.ReleaseRowAsync();
        silo.Thaw();
        await Task.Delay(Grace);
        Print(await witness.AssertWithinAsync("the stopped silo woke up"));
        silo.Kill9();
        cluster.Forget(silo);
    }

    private static async Task TerminateAsync(ProcessCluster cluster, ServerWitness witness, ProcessHost silo)
    {
        silo.Terminate();
        Assert.Equal(0, await silo.WaitForExitAsync(TimeSpan.FromSeconds(60)));
        cluster.Forget(silo);
        long leftAt = Stopwatch.GetTimestamp();
        await SaturatedAsync(cluster, witness, "a silo left");
        Print($"a silo left: its permits in use elsewhere {Stopwatch.GetElapsedTime(leftAt).TotalSeconds:0.0} s later");
    }

    /// <summary>Waits until nine tenths of all permits are used at a time, in equal shares, and nobody else holds any;
    /// asserts that no limit was passed.</summary>
    private static async Task SaturatedAsync(
        ProcessCluster cluster, ServerWitness? witness, string when, int? sharing = null)
    {
        long startedAt = Stopwatch.GetTimestamp();
        int silos = sharing ?? cluster.Silos.Count;
        string state = "";
        while (true)
        {
            // The server's word on it, too: statements under way, half of the time at least.
            (bool isShared, state) = await LookAsync(cluster, silos);
            if (isShared && (witness is not { Samples: > 0 } || witness.MedianBusy(LooksAtOnce) >= 0.9 * Shared)) break;

            if (Stopwatch.GetElapsedTime(startedAt).TotalSeconds > 60)
            {
                Assert.Fail($"{when}: not all of {Shared} permits are used by {silos} silos, "
                    + $"{witness?.MedianBusy(LooksAtOnce)} seen at work. {state}\n{cluster.Output}");
            }

            await Task.Delay(100);
        }

        if (witness is not null) Print(await witness.AssertWithinAsync(when));
    }

    private static async Task<(bool IsShared, string State)> LookAsync(ProcessCluster cluster, int silos)
    {
        using HttpResponseMessage reply = await cluster.Http.GetAsync("/upool/pool");
        string text = await reply.Content.ReadAsStringAsync();
        using JsonDocument body = JsonDocument.Parse(text);
        JsonElement data = body.RootElement.GetProperty("data");
        if (!data.TryGetProperty("budget", out JsonElement budget)) return (false, text);

        int holders = budget.GetProperty("leases").EnumerateArray()
            .Count(static lease => lease.GetProperty("held").GetInt32() > 0);
        int[] used = [.. data.GetProperty("silos").EnumerateArray()
            .Where(static silo => silo.TryGetProperty("pool", out _))
            .Select(static silo => silo.GetProperty("pool").GetProperty("used").GetInt32())];
        bool isShared = holders == silos && used.Sum() >= 0.9 * Shared
            && used.Count(share => share >= (Shared / silos) - 1) == silos;
        return (isShared, text);
    }

    private static async Task LoadAsync(
        IEnumerable<ProcessHost> silos, string work = "sleep")
    {
        foreach (ProcessHost silo in silos)
        {
            string line =
                silo.Lines.First(static line => line.Contains("UPool.Silo is ready", StringComparison.Ordinal));
            string management = line[(line.IndexOf("management ", StringComparison.Ordinal) + "management ".Length)..];
            using HttpResponseMessage reply = await Http.PostAsync(
                $"{management}/upool/load?clients={Clients}&seconds=3600&hold=500&work={work}", null);
            reply.EnsureSuccessStatusCode();
        }
    }

    private static ProcessHost Coordinator(ProcessCluster cluster) =>
        cluster.Silos.MaxBy(TookOverAt, StringComparer.Ordinal)!;

    private static ProcessHost Other(ProcessCluster cluster) =>
        cluster.Silos.First(silo => silo != Coordinator(cluster));

    // Log lines begin with their time.
    private static string TookOverAt(ProcessHost silo) => silo.Lines.LastOrDefault(
        static line => line.Contains("The coordinator of the connection budget starts", StringComparison.Ordinal), "");

    private static void Print(string text) => TestContext.Current.TestOutputHelper?.WriteLine(text);
}
