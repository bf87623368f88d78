using System.Diagnostics;

using static UPool.Processes.Tests.BudgetLoad;

namespace UPool.Processes.Tests;

/// <summary>INV-2 with real silos and a database that freezes and restarts.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class BudgetDatabaseTests
{
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
                // Long enough for every lease to end, and for hundreds of rents to time out.
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
}
