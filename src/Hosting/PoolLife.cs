using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Opens the pool of the host and drains it. When, is for the one that calls it to say: the host, or a silo in
/// it.</summary>
internal sealed class PoolLife(
    PooledDataSource pool,
    IOptions<PoolOptions> options,
    IOptions<DatabaseOptions> database,
    IEnumerable<EmbeddedSetup> setups)
{
    /// <summary>Returns although the database is away: the pool keeps trying, and its health says why.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await pool.StartAsync(cancellationToken);
        if (!database.Value.IsEmbedded) return;

        foreach (EmbeddedSetup setup in setups) await setup.RunAsync(pool, cancellationToken);
    }

    /// <summary>Bounded by the host's own time for stopping too: a database that does not answer must not hold the
    /// process.</summary>
    public Task DrainAsync(CancellationToken cancellationToken) =>
        pool.DrainAsync(options.Value.DrainTimeout).WaitAsync(cancellationToken);
}

/// <summary>Marks a host in which something else than <see cref="PoolService"/> opens and drains the pool: a silo does
/// it within its own life cycle, whose grains need the pool longer.</summary>
internal interface IPoolOwner;
