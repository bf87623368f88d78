using Microsoft.Extensions.Options;

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
    ProcessStatus status) : ILifecycleParticipant<ISiloLifecycle>
{
    public void Participate(ISiloLifecycle lifecycle)
    {
        lifecycle.Subscribe(nameof(PoolLifecycle), ServiceLifecycleStage.ApplicationServices, OpenAsync, DrainAsync);

        // After the gateway is open: whoever waits for "started" may call.
        lifecycle.Subscribe(nameof(ProcessStatus), ServiceLifecycleStage.Active + 1, _ =>
        {
            status.Started();
            return Task.CompletedTask;
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
    private Task DrainAsync(CancellationToken cancellationToken) =>
        pool.DrainAsync(options.Value.DrainTimeout).WaitAsync(cancellationToken);
}
