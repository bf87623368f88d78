using UPool.Cluster.Tests.Budget.Simulation;

namespace UPool.Cluster.Tests.Budget;

public sealed class TmpTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(2, 20)]
    [InlineData(5, 20)]
    [InlineData(20, 100)]
    [InlineData(100, 500)]
    public void Time(int silos, int shared)
    {
        var times = new List<double>();
        for (uint run = 0; run < 40; run++)
        {
            var cluster = SimCluster.Create(run, silos, shared, SimFaults.None);
            cluster.SetDemand(2 * cluster.Ceiling);
            cluster.RunFor((20 * SimScheduler.Second) + run * 25_000);
            for (int move = 0; move < 4; move++)
            {
                SimSilo loaded = cluster.Silos[cluster.Random.Next(silos)];
                foreach (SimSilo silo in cluster.Silos) silo.Pool.SetDemand(silo == loaded ? 2 * shared : 0);
                long start = cluster.Time;
                while (loaded.Permits < shared - silos + 1 && cluster.Time < start + 20_000_000) cluster.RunFor(10_000);
                times.Add((cluster.Time - start) / 1e6);
                cluster.RunFor(1_000_000 + cluster.Random.Next(1_000_000));
            }
        }
        times.Sort();
        output.WriteLine($"{silos}: p50 {times[times.Count / 2]:0.00} p90 {times[times.Count * 9 / 10]:0.00} max {times[^1]:0.00}");
    }
}
