using System.Diagnostics;
using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget;

/// <summary>The sum holds at any demand. The long form (<c>UPOOL_TEST_FACTOR</c>) also prints the coordinator's cost of
/// a renewal; it is compared with nothing, because machines differ.</summary>
public sealed class LedgerSpeedTests(ITestOutputHelper output)
{
    // The coordinator collects for 50 ms; each silo renews once a second.
    private const int BatchesPerInterval = 20;

    // At least this many. The first half is not counted: it admits the silos and runs code that is not optimized yet.
    private static readonly int LeastRenewals = Seed.Factor > 1 ? 40_000 : 2_000;
    private static readonly int LeastIntervals = Seed.Factor > 1 ? 10 : 4;

    private const int PermitsEach = 10;

    [Theory]
    [InlineData(10)]
    [InlineData(100)]
    [InlineData(1000)]
    [InlineData(5000)]
    public void Apply_EverybodyWantsSomethingElseEachTime_HoldsTheSumAndPrintsItsCost(int silos)
    {
        BudgetSettings settings = WithShared(silos);
        var random = new Random(1);
        var ledger = new Ledger(
            new LedgerState(), "writer", new ServerLife("server", TimeSpan.FromDays(1)), settings, TimeSpan.Zero);
        ledger.Observe([], new ServerLife("server", TimeSpan.Zero), TimeSpan.Zero);
        LeaseHolder[] holders = [.. Enumerable.Range(0, silos).Select(
            at => new LeaseHolder($"silo-{at}", LeaseRole.Silo, 4 * PermitsEach, settings, random))];
        int size = Math.Max(1, silos / BatchesPerInterval), renewals = 0;
        int intervals = Math.Max(LeastIntervals, LeastRenewals / silos);
        long spent = 0;
        TimeSpan now = TimeSpan.FromSeconds(1);
        for (int interval = 0; interval < intervals; interval++)
        {
            foreach (LeaseHolder[] some in holders.Chunk(size))
            {
                LeaseRequest[] requests = [.. some.Select(holder => Ask(holder, random, now))];
                long started = Stopwatch.GetTimestamp();
                LedgerBatch batch = ledger.Apply(requests, now);
                IReadOnlyList<LeaseReply> replies = ledger.Commit(batch, now);
                if (interval >= intervals / 2)
                {
                    spent += Stopwatch.GetTimestamp() - started;
                    renewals += requests.Length;
                }

                for (int at = 0; at < some.Length; at++)
                {
                    if (some[at].Accept(replies[at], now) is { } terms) some[at].MarkApplied(terms);
                }

                now += TimeSpan.FromSeconds(1.0 / BatchesPerInterval);
            }
        }

        double each = spent * 1e6 / Stopwatch.Frequency / renewals;
        output.WriteLine($"{silos} silos, {size} in a batch: {each:0.00} µs a renewal, {each * size:0} µs a batch");
        Assert.InRange(ledger.View(now).Held, PermitsEach * silos / 2, PermitsEach * silos);
    }

    private static BudgetSettings WithShared(int silos)
    {
        BudgetSettings settings = new BudgetOptions { MaxSilos = silos }.ToSettings(0);
        BudgetSum sum = BudgetSum.Of(settings);
        return settings with { ServerConnections = sum.Needed - sum.Floors + PermitsEach * silos };
    }

    /// <summary>The worst case: every renewal recalculates all shares.</summary>
    private static LeaseRequest Ask(LeaseHolder holder, Random random, TimeSpan now)
    {
        int wanted = random.Next(1, 3 * PermitsEach), permits = holder.PermitsAt(now);
        int used = Math.Min(wanted, permits);
        return holder.Ask(new LeaseFigures { Used = used, Idle = permits - used, Pending = wanted - used }, now);
    }
}
