using UPool.Cluster.Budget;
using UPool.Hosting;

namespace UPool.Cluster.Status;

/// <summary>The coordinator's view in words for operators.</summary>
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
            LeaseWait.FairShare => "it has its fair share: the others want theirs",
            LeaseWait.Shrinks => "others have yet to give back what they were told to",
            LeaseWait.Reclaims => "permits of a dead process wait for the server's word",
            LeaseWait.Learning => "the coordinator has just taken over",
            LeaseWait.Orphans => "sessions that nobody registered count as used",
            _ => null,
        });
}
