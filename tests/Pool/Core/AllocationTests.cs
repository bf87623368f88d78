using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Renting and returning allocates nothing, even if the rent waits.</summary>
public sealed class AllocationTests
{
    private const int Rents = 1000;
    private const int Pending = 50;

    [Fact]
    public Task RentAsync_Idle_AllocatesNothing() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        AssertAllocatesNothing(() =>
        {
            for (int i = 0; i < Rents; i++) pool.ReturnUnused(Result(pool.Pool.RentAsync(Deadline.None, default)));
        });
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task RentAsync_ManyPending_AllocatesNothing() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        using var token = new CancellationTokenSource();
        var pending = new Queue<ValueTask<RentOutcome>>(Pending + 1);
        RentOutcome held = await pool.RentedAsync();
        for (int i = 0; i < Pending; i++) Wait(pool.Pool.RentAsync(Deadline.None, token.Token));
        AssertAllocatesNothing(() =>
        {
            for (int i = 0; i < Rents; i++)
            {
                Wait(pool.Pool.RentAsync(Deadline.None, token.Token));
                pool.ReturnUnused(held);
                held = Result(pending.Dequeue());
            }
        });
        while (pending.TryDequeue(out ValueTask<RentOutcome> next))
        {
            pool.ReturnUnused(held);
            held = Result(next);
        }

        pool.ReturnUnused(held);

        void Wait(ValueTask<RentOutcome> rent) => pending.Enqueue(rent);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task TryRent_Idle_AllocatesNothing() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        AssertAllocatesNothing(() =>
        {
            for (int i = 0; i < Rents; i++)
            {
                Assert.True(pool.Pool.TryRent(out PhysicalConnection? connection, out long rentId));
                pool.Pool.Release(connection, rentId);
            }
        });
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task OpenConnectionAsync_Idle_AllocatesTheConnectionAlone() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        long one = Allocated(() => _ = new PooledConnection(pool.Pool));
        long opened = Allocated(() =>
        {
            for (int i = 0; i < Rents; i++)
            {
                var open = pool.Source.OpenConnectionAsync(CancellationToken.None);
                Assert.True(open.IsCompletedSuccessfully);
                open.GetAwaiter().GetResult().Dispose();
            }
        });
        Assert.Equal(Rents * one, opened);
    }, o => o.MaxConnections = 1);

    private static RentOutcome Result(ValueTask<RentOutcome> rent)
    {
        Assert.True(rent.IsCompletedSuccessfully);
        RentOutcome outcome = rent.GetAwaiter().GetResult();
        Assert.NotNull(outcome.Connection);
        return outcome;
    }

    private static void AssertAllocatesNothing(Action action) => Assert.Equal(0, Allocated(action));

    private static long Allocated(Action action)
    {
        // The first run allocates once: delegates, spare objects, compiled code.
        action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
