namespace UPool.Cluster.Membership;

/// <summary>
/// Lets a leaving silo serve until its clients have read in the table that it leaves. Orleans notifies connected
/// clients before, but not those that connect meanwhile; it does not wait for a slow client, and a client that has no
/// other silo comes back.
/// </summary>
internal sealed class LeaveNotice(IClusterMembershipService membership, ILocalSiloDetails silo, TimeProvider clock)
    : ILifecycleParticipant<ISiloLifecycle>
{
    // The interval between two reads of the table by a client, and a second for a read on a busy machine.
    private static readonly TimeSpan Duration = GatewayList.RefreshInterval + TimeSpan.FromSeconds(1);

    // In the same stage as Orleans' own participant, which writes the row. Grains are deactivated in the stage below.
    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(LeaveNotice), ServiceLifecycleStage.BecomeActive, static _ => Task.CompletedTask, StayAsync);

    private async Task StayAsync(CancellationToken cancellationToken)
    {
        // Silos notify each other at once, so without clients no delay is needed.
        if (silo.GatewayAddress is null) return;

        try
        {
            await foreach (ClusterMembershipSnapshot members in
                membership.MembershipUpdates.WithCancellation(cancellationToken))
            {
                if (members.GetSiloStatus(silo.SiloAddress) != SiloStatus.Active) break;
            }

            await Task.Delay(Duration, clock, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // No time is left for a clean stop.
        }
    }
}
