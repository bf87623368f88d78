using UPool.Cluster.Budget;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>
/// Opens the pool before the silo is active, and drains it after its grains are deactivated: a lifecycle participant,
/// because a grain service would start later and stop first. No-op in a silo whose application has made the pool
/// itself.
/// </summary>
internal sealed class PoolLifecycle(
    PoolLife? pool = null, ProcessStatus? status = null, BudgetAgent? budget = null)
    : ILifecycleParticipant<ISiloLifecycle>, IPoolOwner
{
    // If the permits cannot be returned, the others wait for lease and grace; a stop must not wait as long.
    private static readonly TimeSpan HandBackTimeout = TimeSpan.FromSeconds(2);

    public void Participate(ISiloLifecycle lifecycle)
    {
        if (pool is null || status is null) return;

        lifecycle.Subscribe(
            nameof(PoolLifecycle), ServiceLifecycleStage.ApplicationServices, pool.OpenAsync, async cancellationToken =>
            {
                await pool.DrainAsync(cancellationToken);

                // Only now nothing is open, and others may have the permits at once.
                if (budget is not null) await budget.LeaveAsync(HandBackTimeout).WaitAsync(cancellationToken);
            });

        // After the gateway is open: a process that waits for "started" may call. With a budget a silo is started once
        // it has permits, and only an active silo can ask for them.
        lifecycle.Subscribe(nameof(ProcessStatus), ServiceLifecycleStage.Active + 1, async cancellationToken =>
        {
            if (budget is not null) await budget.StartAsync(cancellationToken);
            status.Started();
        });
    }
}
