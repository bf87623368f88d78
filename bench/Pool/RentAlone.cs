using System.Data.Common;

using BenchmarkDotNet.Attributes;

using UPool.Core;

namespace UPool.Bench.Pool;

/// <summary>One worker rents and returns, over a driver that does nothing.</summary>
public class RentAlone
{
    private const int Rents = 10_000;

    private readonly Lock _gate = new();
    private readonly TimeProvider _clock = TimeProvider.System;
    private PooledDataSource _source = null!;
    private long _sum;

    [Params(1)]
    public int Workers { get; set; }

    [GlobalSetup]
    public async Task OpenAsync() => _source = await Sources.OpenIdleAsync(connections: 1);

    [GlobalCleanup]
    public async Task CloseAsync() => await _source.DisposeAsync();

    /// <summary>The minimal cost of a pool with a clock.</summary>
    [Benchmark(Description = "two locks and two clock reads", OperationsPerInvoke = Rents)]
    public Task LockAndReadAsync()
    {
        for (int i = 0; i < Rents; i++)
        {
            lock (_gate) _sum -= _clock.GetTimestamp();
            lock (_gate) _sum += _clock.GetTimestamp();
        }

        return Task.CompletedTask;
    }

    [Benchmark(Description = "the pool", OperationsPerInvoke = Rents)]
    public async Task RentAsync()
    {
        ConnectionPool pool = _source.Pool;
        for (int i = 0; i < Rents; i++)
        {
            RentOutcome rent = await pool.RentAsync(Deadline.None, CancellationToken.None);
            pool.Release(rent.Connection!, rent.RentId);
        }
    }

    [Benchmark(Description = "the pool, as a PooledConnection", OperationsPerInvoke = Rents)]
    public async Task RentResultAsync()
    {
        for (int i = 0; i < Rents; i++)
        {
            RentResult rent = await _source.RentAsync();
            rent.Connection!.Dispose();
        }
    }

    [Benchmark(Description = "through ADO.NET", OperationsPerInvoke = Rents)]
    public async Task OpenConnectionAsync()
    {
        DbDataSource source = _source;
        for (int i = 0; i < Rents; i++)
        {
            DbConnection connection = await source.OpenConnectionAsync();
            connection.Dispose();
        }
    }
}
