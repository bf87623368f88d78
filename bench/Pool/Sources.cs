namespace UPool.Bench.Pool;

/// <summary>The pools that are measured, all connections open.</summary>
internal static class Sources
{
    /// <summary>Over a driver that does nothing.</summary>
    public static Task<PooledDataSource> OpenIdleAsync(int connections) => WarmAsync(
        new PooledDataSource(Options(connections), new IdleConnector(), clock: null, loggers: null), connections);

    /// <summary>Opens all connections of a pool.</summary>
    public static async Task<PooledDataSource> WarmAsync(PooledDataSource source, int connections)
    {
        RentResult[] rents = await Task.WhenAll(
            Enumerable.Range(0, connections).Select(_ => source.RentAsync().AsTask()));
        foreach (RentResult rent in rents) await rent.GetConnectionOrThrow().DisposeAsync();
        while (source.Snapshot().Idle < connections) await Task.Delay(1);
        return source;
    }

    /// <summary>The pool's defaults, but for its size, and the patience that a busy machine's pauses
    /// need.</summary>
    public static PoolOptions Options(int connections) => new()
    {
        MaxConnections = connections,
        RentTimeout = TimeSpan.FromMinutes(1),
    };
}
