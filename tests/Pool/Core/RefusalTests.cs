using System.Runtime.ExceptionServices;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>A refusal returned as a value throws no exception internally: under overload, exceptions are the
/// overload.</summary>
public sealed class RefusalTests
{
    // Exceptions thrown within the caller's async flow, on any thread. Other tests throw at the same time.
    private static readonly AsyncLocal<List<Exception>?> Thrown = new();

    public static TheoryData<RefusalReason> Reasons() => [.. Enum.GetValues<RefusalReason>()];

    [Theory]
    [MemberData(nameof(Reasons))]
    public Task RentAsync_Refused_ThrowsNothing(RefusalReason reason) => PoolHarness.RunAsync(
        async pool =>
        {
            RentOutcome? held = await RefuseAsync(pool, reason);
            var thrown = new List<Exception>();
            AppDomain.CurrentDomain.FirstChanceException += Note;
            RentResult result;
            try
            {
                Thrown.Value = thrown;
                Task<RentResult> rent = pool.Source.RentAsync().AsTask();
                Assert.Equal(reason is not (RefusalReason.TimedOut or RefusalReason.NoPermits), rent.IsCompleted);
                pool.Advance(110);
                result = await pool.FinishAsync(rent);
                Assert.False(pool.Source.TryRent(out _));
            }
            finally
            {
                Thrown.Value = null;
                AppDomain.CurrentDomain.FirstChanceException -= Note;
            }

            Assert.Equal(reason, result.Refusal);
            Assert.Empty(thrown);
            if (held is { } rented) pool.Return(rented);
        },
        o =>
        {
            o.MaxConnections = 1;
            o.MaxPending = reason == RefusalReason.QueueFull ? 1 : 10;
            o.RentTimeout = TimeSpan.FromMilliseconds(100);
        });

    private static void Note(object? sender, FirstChanceExceptionEventArgs args) => Thrown.Value?.Add(args.Exception);

    /// <summary>Brings the pool to a state in which it refuses the next rent for this reason.</summary>
    private static async Task<RentOutcome?> RefuseAsync(PoolHarness pool, RefusalReason reason)
    {
        switch (reason)
        {
            case RefusalReason.TimedOut:
                return await pool.RentedAsync();
            case RefusalReason.QueueFull:
                RentOutcome only = await pool.RentedAsync();
                _ = pool.Rent();
                return only;
            case RefusalReason.PredictedLate:
                RentOutcome held = await pool.RentedAsync();
                for (int i = 0; i < 40; i++)
                {
                    pool.Advance(90);
                    pool.ReturnUnused(held);
                    held = await pool.RentedAsync();
                }

                _ = pool.Rent();
                return held;
            case RefusalReason.NoPermits:
                pool.SetPermits(0);
                return null;
            case RefusalReason.Draining:
                pool.IsDrained = true;
                Assert.True(await pool.FinishAsync(pool.Pool.DrainAsync(TimeSpan.FromSeconds(1))));
                return null;
            case RefusalReason.Unavailable:
                pool.Server.Fail(Step.Open);
                Task<RentOutcome> first = pool.Rent();
                await pool.FinishAsync(first);
                return null;
            default:
                throw new InvalidOperationException($"No way to {reason} is known.");
        }
    }
}
