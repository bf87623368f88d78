using UPool.Cluster.Budget;
using UPool.Hosting;

namespace UPool.Cluster.Status;

/// <summary>Turns the coordinator's view into a report for operators.</summary>
internal static class BudgetReports
{
    public static BudgetReport Of(BudgetView view) => new(
        view.ServerConnections, view.Shared, view.Held, view.Orphans, view.IsLearning, view.IsMismatched,
        [.. view.Leases.OrderBy(static lease => lease.Incarnation, StringComparer.Ordinal).Select(Of)]);

    private static LeaseReport Of(LeaseView lease) => new(
        lease.Incarnation,
        lease.Role == LeaseRole.Silo ? "silo" : "client",
        BudgetTelemetry.NameOf(lease.State),
        lease.Permits, lease.Held, lease.Wanted, lease.Remaining,
        lease.Wait switch
        {
            LeaseWait.FairShare => "it has its fair share of the budget",
            LeaseWait.Shrinks => "other silos have not returned permits yet",
            LeaseWait.Reclaims => "permits of a dead process are held until the server confirms its sessions gone",
            LeaseWait.Learning => "the coordinator has just taken over",
            LeaseWait.Orphans => "unregistered sessions count as used",
            _ => null,
        });
}
