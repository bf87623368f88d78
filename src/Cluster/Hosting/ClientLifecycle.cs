using System.Data.Common;

namespace UPool.Cluster.Hosting;

/// <summary>Connects a client of the cluster for as long as it takes, and says what is in the way.</summary>
internal sealed class ClientLifecycle(ProcessStatus status, ControlDatabase control, TimeProvider clock)
    : ILifecycleParticipant<IClusterClientLifecycle>, IClientConnectionRetryFilter
{
    private const string Place = "Cluster";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    public void Participate(IClusterClientLifecycle lifecycle) =>
        lifecycle.Subscribe(nameof(ClientLifecycle), ServiceLifecycleStage.Active, _ =>
        {
            status.Report(Place, null);
            status.Started();
            return Task.CompletedTask;
        });

    // Orleans' own filter gives up after 15 attempts, and at once when the database with the gateways does not answer.
    public async Task<bool> ShouldRetryConnectionAttempt(Exception exception, CancellationToken cancellationToken)
    {
        status.Report(Place, Describe(exception));
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
