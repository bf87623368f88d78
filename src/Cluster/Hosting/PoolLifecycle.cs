using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;

namespace UPool.Cluster.Hosting;

/// <summary>
/// Opens the pool before the silo is active and drains it after its grains have: a lifecycle participant, because a
/// grain service would start later and stop first.
/// </summary>
internal sealed class PoolLifecycle(
    PooledDataSource pool,
    IOptions<PoolOptions> options,
    IOptions<DatabaseOptions> database,
    IEnumerable<EmbeddedSetup> setups,
    ProcessStatus status,
    BudgetAgent? budget = null) : ILifecycleParticipant<ISiloLifecycle>
{
    // The others wait for lease and grace when nobody takes the permits back; a stop must not wait as long.
    private static readonly TimeSpan HandBackTimeout = TimeSpan.FromSeconds(2);

    public void Participate(ISiloLifecycle lifecycle)
    {
        lifecycle.Subscribe(nameof(PoolLifecycle), ServiceLifecycleStage.ApplicationServices, OpenAsync, DrainAsync);

        // After the gateway is open: whoever waits for "started" may call. With a budget a silo is started once it has
        // permits; asking for them takes a silo that is active.
        lifecycle.Subscribe(nameof(ProcessStatus), ServiceLifecycleStage.Active + 1, async cancellationToken =>
        {
            if (budget is not null) await budget.StartAsync(cancellationToken);
            status.Started();
        });
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        // Returns although the database is away; the pool keeps trying and its health says why.
        await pool.StartAsync(cancellationToken);
        if (!database.Value.IsEmbedded) return;

        foreach (EmbeddedSetup setup in setups) await setup.RunAsync(pool, cancellationToken);
    }

    // The host's own bound on stopping counts too: a database that does not answer must not hold the process.
    private async Task DrainAsync(CancellationToken cancellationToken)
    {
        await pool.DrainAsync(options.Value.DrainTimeout).WaitAsync(cancellationToken);

        // Only now nothing is open, and others may have the permits at once.
        if (budget is not null) await budget.LeaveAsync(HandBackTimeout).WaitAsync(cancellationToken);
    }
}
