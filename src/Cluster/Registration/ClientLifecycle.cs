using System.Data.Common;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>Connects a client to the cluster, however long that takes, and reports the problem meanwhile.</summary>
internal sealed class ClientLifecycle(
    ProcessStatus status, ControlDatabase control, TimeProvider clock, BudgetAgent? budget = null)
    : ILifecycleParticipant<IClusterClientLifecycle>, IClientConnectionRetryFilter
{
    private const string Place = "Cluster";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    // Without it the place in the budget is free only after lease and grace, and the next front of a roll-out waits for
    // it.
    private static readonly TimeSpan LeaveTimeout = TimeSpan.FromSeconds(1);

    public void Participate(IClusterClientLifecycle lifecycle) =>
        lifecycle.Subscribe(nameof(ClientLifecycle), ServiceLifecycleStage.Active, async cancellationToken =>
        {
            status.Report(Place, null);

            // With a budget a client takes a place in it, for its control connections.
            if (budget is not null) await budget.StartAsync(cancellationToken);
            status.Started();
        }, cancellationToken => budget?.LeaveAsync(LeaveTimeout).WaitAsync(cancellationToken) ?? Task.CompletedTask);

    // Orleans' own filter gives up after 15 attempts, and at once if the database with the gateways does not answer.
    public async Task<bool> ShouldRetryConnectionAttempt(Exception exception, CancellationToken cancellationToken)
    {
        status.Report(
            Place,
            exception is DbException ? control.DescribeInPublic : Describe(exception),
            Describe(exception));
        try
        {
            await Task.Delay(RetryInterval, clock, cancellationToken);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private string Describe(Exception exception) => exception switch
    {
        DbException => control.Describe(exception),
        SiloUnavailableException => "The cluster has no silo yet.",
        ArgumentException => SchemaCheck.Describe(SchemaCheck.ClusterTables),
        _ => "No silo of the cluster could be reached.",
    };
}
