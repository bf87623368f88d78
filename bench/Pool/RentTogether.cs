using System.Data.Common;
using System.Runtime.CompilerServices;

using BenchmarkDotNet.Attributes;

using UPool.Core;

namespace UPool.Bench.Pool;

/// <summary>
/// 32 workers share 16 connections of a driver that does nothing, and each yields while it holds one: nearly every rent
/// waits.
/// </summary>
public class RentTogether
{
    private const int WorkerCount = 32;
    private const int Connections = 16;
    private const int Rents = 8000;

    private BareQueue _bare = null!;
    private PooledDataSource _source = null!;

    /// <summary>The smallest share of waiting rents in one run, by benchmark.</summary>
    public static Dictionary<string, double> LeastWaited { get; } = [];

    [Params(WorkerCount)]
    public int Workers { get; set; }

    [GlobalSetup]
    public async Task OpenAsync()
    {
        _bare = new BareQueue(Connections);
        _source = await Sources.OpenIdleAsync(Connections);
    }

    [GlobalCleanup]
    public async Task CloseAsync() => await _source.DisposeAsync();

    /// <summary>The minimal cost of a fair pool.</summary>
    [Benchmark(Description = "a lock and a queue", OperationsPerInvoke = WorkerCount * Rents)]
    public Task QueueAsync() => RunAsync(async () =>
    {
        int waited = 0;
        var waiter = new BareQueue.Waiter();
        for (int i = 0; i < Rents; i++)
        {
            ValueTask<object> rent = _bare.RentAsync(waiter);
            if (!rent.IsCompleted) waited++;
            object item = await rent;
            await Task.Yield();
            _bare.Return(item);
        }

        return waited;
    });

    [Benchmark(Description = "the pool", OperationsPerInvoke = WorkerCount * Rents)]
    public Task RentAsync() => RunAsync(async () =>
    {
        int waited = 0;
        ConnectionPool pool = _source.Pool;
        for (int i = 0; i < Rents; i++)
        {
            ValueTask<RentOutcome> rent = pool.RentAsync(Deadline.None, CancellationToken.None);
            if (!rent.IsCompleted) waited++;
            RentOutcome rented = await rent;
            await Task.Yield();
            pool.Release(rented.Connection!, rented.RentId);
        }

        return waited;
    });

    [Benchmark(Description = "the pool, as a PooledConnection", OperationsPerInvoke = WorkerCount * Rents)]
    public Task RentResultAsync() => RunAsync(async () =>
    {
        int waited = 0;
        for (int i = 0; i < Rents; i++)
        {
            ValueTask<RentResult> rent = _source.RentAsync();
            if (!rent.IsCompleted) waited++;
            RentResult rented = await rent;
            await Task.Yield();
            rented.Connection!.Dispose();
        }

        return waited;
    });

    [Benchmark(Description = "through ADO.NET", OperationsPerInvoke = WorkerCount * Rents)]
    public Task OpenConnectionAsync() => RunAsync(async () =>
    {
        int waited = 0;
        DbDataSource source = _source;
        for (int i = 0; i < Rents; i++)
        {
            ValueTask<DbConnection> rent = source.OpenConnectionAsync();
            if (!rent.IsCompleted) waited++;
            DbConnection connection = await rent;
            await Task.Yield();
            connection.Dispose();
        }

        return waited;
    });

    private async Task RunAsync(Func<Task<int>> worker, [CallerMemberName] string benchmark = "")
    {
        int[] waited = await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(worker)));
        double share = (double)waited.Sum() / (Workers * Rents);
        LeastWaited[benchmark] = Math.Min(share, LeastWaited.GetValueOrDefault(benchmark, 1));
    }
}
