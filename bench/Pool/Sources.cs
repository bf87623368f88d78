namespace UPool.Bench.Pool;

/// <summary>The measured pools, with all connections open.</summary>
internal static class Sources
{
    /// <summary>Opens a pool over a driver that does nothing.</summary>
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

    /// <summary>The pool's defaults, except for its size and a rent timeout that survives pauses of a busy
    /// machine.</summary>
    public static PoolOptions Options(int connections) => new()
    {
        MaxConnections = connections,
        RentTimeout = TimeSpan.FromMinutes(1),
    };
}
