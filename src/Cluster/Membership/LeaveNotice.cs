namespace UPool.Cluster.Membership;

/// <summary>
/// Lets a silo that leaves serve on until its clients have read in the table that it does. Orleans tells those that are
/// connected to it before, but not whoever connects meanwhile; it does not wait for a client that is slow to hear, and
/// a client that has no other silo comes back.
/// </summary>
internal sealed class LeaveNotice(IClusterMembershipService membership, ILocalSiloDetails silo, TimeProvider clock)
    : ILifecycleParticipant<ISiloLifecycle>
{
    // Between two readings of the table by a client, and a second for a reading on a busy machine.
    private static readonly TimeSpan Duration = GatewayList.RefreshInterval + TimeSpan.FromSeconds(1);

    // Beside Orleans' own participant of this stage, which writes the row. Grains are deactivated in the stage below.
    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(LeaveNotice), ServiceLifecycleStage.BecomeActive, static _ => Task.CompletedTask, StayAsync);

    private async Task StayAsync(CancellationToken cancellationToken)
    {
        // Silos tell each other at once, so without clients nobody needs the time.
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
            // No time is left for a stop in good order.
        }
    }
}
