using UPool.Cluster.Budget;
using UPool.Cluster.Tests.Budget.Simulation;

namespace UPool.Cluster.Tests.Budget;

/// <summary>
/// The ledger and the lease holders in a simulated cluster with a simulated server and all faults (INV-2). Each run
/// checks after every step, then stops the faults and requires all permits back and in use.
/// </summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1, 8, 300, 20)]
    [InlineData(2, 16, 300, 20)]
    [InlineData(5, 20, 300, 20)]
    [InlineData(20, 100, 200, 10)]
    [InlineData(200, 700, 60, 1)]
    [InlineData(1000, 3000, 20, 1)]
    public void Cluster_EverythingGoesWrong_NeverHasASessionTooMany(int silos, int shared, int seconds, int runs)
    {
        uint seed = Seed.Next();
        long steps = 0;
        List<SimMove> moves = [];
        for (uint run = 0; run < runs * Seed.Factor; run++)
        {
            var cluster = SimCluster.Create(seed + run, silos, shared, SimFaults.All);
            cluster.SetDemand(cluster.Ceiling);
            cluster.RunFor(seconds * SimScheduler.Second);
            cluster.Settle();
            steps += cluster.Scheduler.Steps;
            moves.AddRange(cluster.Moves);
        }

        output.WriteLine($"{steps} steps");
        if (moves.Count == 0) return;

        output.WriteLine($"{moves.Count} moves of {moves.Average(static move => move.Permits):0} permits. Lost of each "
            + $"until granted {Loss(static move => move.LossUntilGranted)}, "
            + $"until used {Loss(static move => move.LossUntilUsed)}");

        string Loss(Func<SimMove, double> of) =>
            $"{moves.Average(of):0.00} permit-seconds, {moves.Max(of):0.00} at most";
    }

    public static TheoryData<SimPoint> Points => [.. Enum.GetValues<SimPoint>()];

    [Theory]
    [MemberData(nameof(Points))]
    public void Process_StoppedOrKilledAtOnePoint_NeverHasASessionTooMany(SimPoint point)
    {
        uint seed = Seed.Next();
        long steps = 0;
        for (uint run = 0; run < 4 * Seed.Factor; run++)
        {
            // Half of the runs stop processes, half kill them; a killed process is replaced.
            var cluster = SimCluster.Create(seed + run, 5, 20, SimFaults.None with
            {
                Only = point,
                Stops = run % 2 == 0 ? 0.02 : 0,
                Crashes = run % 2 == 0 ? 0 : 0.005,
                SessionLosses = 2,
                DemandChanges = 1,
                LongStatements = 0.01,
            });
            cluster.SetDemand(cluster.Ceiling);
            cluster.RunFor(200 * SimScheduler.Second);
            cluster.Settle();
            steps += cluster.Scheduler.Steps;
        }

        output.WriteLine($"{steps} steps");
    }

    /// <summary>One message in thirty is lost, so one renewal in fifteen fails. Nine failures in a row within a lease
    /// have a chance of 10^-10; with only four renewals per lease, every third run would see them all fail.</summary>
    [Fact]
    public void Silos_OnALossyNetwork_KeepTheirFloor() => AssertFloorsAreKept(SimFaults.None with
    {
        Loss = 0.03,
        Delays = 0.005,
        Duplicates = 0.05,
        DemandChanges = 1,
    });

    [Fact]
    public void Silos_WithAStorageThatTakesSeconds_KeepTheirFloor() => AssertFloorsAreKept(SimFaults.None with
    {
        StorageDelay = 1_500 * SimScheduler.Millisecond,
        DemandChanges = 1,
    });

    [Fact]
    public void Number_ChangedWhileRunning_TheLeastOfTheLivingHolds()
    {
        uint seed = Seed.Next();
        for (uint run = 0; run < 5 * Seed.Factor; run++)
        {
            // Without the faults that stop renewals for a lease and its grace: such a silo is treated as dead.
            SimFaults faults = SimFaults.None with
            {
                Loss = 0.01,
                Duplicates = 0.05,
                Crashes = 0.0002,
                Leaves = 0.05,
                SessionLosses = 0.3,
                DemandChanges = 0.5,
                LongStatements = 0.01,
            };
            var cluster = SimCluster.Create(seed + run, 5, 40, faults);
            BudgetSettings more = cluster.Settings;
            BudgetSettings less = more with { ServerConnections = more.ServerConnections - 20 };
            cluster.SetDemand(cluster.Ceiling);
            cluster.RunFor(60 * SimScheduler.Second);

            // One silo with the lower number limits all; silos started now still have the old number.
            SimSilo first = cluster.StartSilo(settings: less);
            first.IsImmune = true;
            cluster.RunFor(120 * SimScheduler.Second);
            cluster.Calm();
            cluster.Limit = 20;
            cluster.Faults = faults;
            cluster.RunFor(120 * SimScheduler.Second);

            first.Settings = more;
            cluster.Limit = 40;
            cluster.RunFor(30 * SimScheduler.Second);
            cluster.Settle();
        }
    }

    private static void AssertFloorsAreKept(SimFaults faults)
    {
        uint seed = Seed.Next();
        for (uint run = 0; run < 5 * Seed.Factor; run++)
        {
            var cluster = SimCluster.Create(seed + run, 10, 40, faults);
            cluster.RunFor(30 * SimScheduler.Second);
            for (int second = 0; second < 120; second++)
            {
                cluster.RunFor(SimScheduler.Second);
                foreach (SimSilo silo in cluster.Silos)
                {
                    if (silo.Permits < cluster.Settings.Floor)
                        throw cluster.Violation($"{silo.Name} is below its floor");
                }
            }
        }
    }
}
