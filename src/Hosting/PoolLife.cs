using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Opens and drains the pool of the host. The caller, the host or a silo in it, decides when.</summary>
internal sealed class PoolLife(
    PooledDataSource pool,
    IOptions<PoolOptions> options,
    IOptions<DatabaseOptions> database,
    IEnumerable<EmbeddedSetup> setups)
{
    /// <summary>Returns even if the database is unreachable: the pool keeps trying, and its health names the
    /// problem.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await pool.StartAsync(cancellationToken);
        if (!database.Value.IsEmbedded) return;

        foreach (EmbeddedSetup setup in setups) await setup.RunAsync(pool, cancellationToken);
    }

    /// <summary>Also bounded by the host's shutdown timeout: a database that does not answer must not keep the process
    /// running.</summary>
    public Task DrainAsync(CancellationToken cancellationToken) =>
        pool.DrainAsync(options.Value.DrainTimeout).WaitAsync(cancellationToken);
}

/// <summary>Marks a host in which <see cref="PoolService"/> does not open and drain the pool: a silo does it in its own
/// life cycle, because its grains need the pool longer.</summary>
internal interface IPoolOwner;
