using System.Diagnostics;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>At many times its capacity the pool still does its work, and rejects early instead of late.</summary>
[Collection(nameof(Alone))]
[Trait("Needs", "OwnProcesses")]
public sealed class OverloadTests : OnSharedServer
{
    [Fact]
    public async Task Rent_TwentyTimesTheLoad_LateOnesAreRejectedAtOnceAndWorkGoesOn()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 4;
            o.RentTimeout = TimeSpan.FromMilliseconds(400);
        });
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        int served = 0, timedOut = 0, predicted = 0;
        double refusalTook = 0;

        // 4 connections with 10 ms of work serve about 400 a second; the wait of 400 ms holds about 160.
        await Task.WhenAll(Enumerable.Range(0, 600).Select(async _ =>
        {
            while (!stop.IsCancellationRequested)
            {
                long startedAt = Stopwatch.GetTimestamp();
                RentResult rent = await pool.RentAsync();
                if (rent.IsRented)
                {
                    await using PooledConnection connection = rent.Connection;
                    await ScalarAsync(connection, "SELECT SLEEP(0.01)");
                    Interlocked.Increment(ref served);
                }
                else if (rent.Refusal == RefusalReason.PredictedLate)
                {
                    Interlocked.Increment(ref predicted);
                    refusalTook = Math.Max(refusalTook, Stopwatch.GetElapsedTime(startedAt).TotalMilliseconds);
                    await Task.Delay(100);
                }
                else
                {
                    Interlocked.Increment(ref timedOut);
                }
            }
        }));

        PoolSnapshot snapshot = pool.Snapshot();
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"served {served}, predicted late {predicted} (slowest {refusalTook:0.0} ms), "
            + $"timed out {timedOut}, {snapshot.Wait}");
        Assert.True(served >= 50, $"only {served} were served: {snapshot}");
        Assert.True(predicted > timedOut, $"{predicted} were rejected early, {timedOut} late: {snapshot}");
    }
}
