using System.Diagnostics;

using UPool.Testing;

using static UPool.Processes.Tests.BudgetLoad;

namespace UPool.Processes.Tests;

/// <summary>INV-2 with real silos: whichever process is killed or stopped, the server never counts more sessions than
/// the budget.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class BudgetTests
{
    private static readonly TimeSpan ReclaimBound = TimeSpan.FromSeconds(30);

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
            await cluster.AddSilosAsync(4 - cluster.Silos.Count);
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
            await cluster.AddSilosAsync(4 - cluster.Silos.Count);
            await LoadAsync(cluster.Silos);
            await TerminateAsync(cluster, witness, Other(cluster));
            await TerminateAsync(cluster, witness, Coordinator(cluster));
        }
    }

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

    /// <summary>Stops a silo for longer than lease and grace, with half of its sessions in a long scan and half waiting
    /// for a row, or while it opens; then resumes it. If the cluster has declared it dead, it ends itself.</summary>
    private static async Task FreezeAsync(
        ProcessCluster cluster, ServerWitness witness, ProcessHost silo, bool whileOpening = false)
    {
        if (whileOpening)
        {
            // Idle until now: the load makes it open connections, one after the other.
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

    private static ProcessHost Coordinator(ProcessCluster cluster) =>
        cluster.Silos.MaxBy(TookOverAt, StringComparer.Ordinal)!;

    private static ProcessHost Other(ProcessCluster cluster) =>
        cluster.Silos.First(silo => silo != Coordinator(cluster));

    // Log lines begin with their time.
    private static string TookOverAt(ProcessHost silo) => silo.Lines.LastOrDefault(
        static line => line.Contains("The coordinator of the connection budget starts", StringComparison.Ordinal), "");
}
