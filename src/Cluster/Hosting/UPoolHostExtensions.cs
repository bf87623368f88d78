using Microsoft.Extensions.Hosting;

namespace UPool.Cluster.Hosting;

/// <summary>STUB of the signatures: puts a pool, a silo or a client of a cluster into a host.</summary>
public static class UPoolHostExtensions
{
    /// <summary>The options, the pool (a singleton <see cref="PooledDataSource"/>) and the control connections.</summary>
    public static IHostApplicationBuilder AddUPool(this IHostApplicationBuilder builder) =>
        throw new NotImplementedException();

    /// <summary>A silo in this process, with its pool: a worker process, or co-hosted with an API.</summary>
    public static IHostApplicationBuilder AddUPoolSilo(
        this IHostApplicationBuilder builder, Action<ISiloBuilder>? configure = null) => throw new NotImplementedException();

    /// <summary>A client of a cluster whose silos are other processes; no pool.</summary>
    public static IHostApplicationBuilder AddUPoolClient(
        this IHostApplicationBuilder builder, Action<IClientBuilder>? configure = null) => throw new NotImplementedException();

    /// <summary>Runs a host until it is told to stop. A start that fails is told in one plain line on standard error.</summary>
    /// <returns>The exit code of the process: 0 when it was told to stop, 1 when the start failed.</returns>
    public static Task<int> RunUPoolAsync(this IHost host) => throw new NotImplementedException();
}
