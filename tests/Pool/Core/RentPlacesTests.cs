using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>The report of a rent held too long names the caller, also for an open through ADO.NET.</summary>
public sealed class RentPlacesTests
{
    [Fact]
    public Task HeldTooLong_OpenedAsAnyDataSource_IsReportedWithTheCaller() => PoolHarness.RunAsync(async pool =>
    {
        await using DbConnection held = await pool.FinishAsync(OpenAsAnyAsync(pool.Source));
        Assert.Contains(
            $"by {nameof(RentPlacesTests)}.{nameof(OpenAsAnyAsync)};", await ReportAsync(pool),
            StringComparison.Ordinal);
    });

    [Fact]
    public Task HeldTooLong_OpenedByTheConnection_IsReportedWithTheCaller() => PoolHarness.RunAsync(async pool =>
    {
        DbDataSource source = pool.Source;
        await using DbConnection held = source.CreateConnection();
        Func<Task> open = async () => await held.OpenAsync(CancellationToken.None);
        await pool.FinishAsync(open());
        Assert.Contains(
            $"by {nameof(RentPlacesTests)}.{nameof(HeldTooLong_OpenedByTheConnection_IsReportedWithTheCaller)};",
            await ReportAsync(pool), StringComparison.Ordinal);
    });

    [Fact]
    public Task HeldTooLong_OpenedAsAPooledDataSource_IsReportedWithFileAndLine() => PoolHarness.RunAsync(async pool =>
    {
        await using DbConnection held = await pool.FinishAsync(
            pool.Source.OpenConnectionAsync(CancellationToken.None).AsTask());
        Assert.Contains(
            $"by {nameof(HeldTooLong_OpenedAsAPooledDataSource_IsReportedWithFileAndLine)} (RentPlacesTests.cs:",
            await ReportAsync(pool), StringComparison.Ordinal);
    });

    [Fact]
    public Task HeldTooLong_ManyOpened_TheOthersAreReportedWithCandidates() => PoolHarness.RunAsync(async pool =>
    {
        // The clock does not move: only the first open records its caller.
        await using DbConnection first = await pool.FinishAsync(OpenAsAnyAsync(pool.Source));
        await using DbConnection second = await pool.FinishAsync(OpenAsAnyAsync(pool.Source));
        Assert.Contains(
            $"by an unknown caller (OpenAsync), perhaps one of {nameof(RentPlacesTests)}.{nameof(OpenAsAnyAsync)};",
            await ReportAsync(pool, rents: 2), StringComparison.Ordinal);
    });

    [Fact]
    public void Find_AThousandCalls_LooksOncePerInterval()
    {
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var places = new RentPlaces(clock);
        for (int interval = 0; interval < 3; interval++)
        {
            Assert.Equal(1, Enumerable.Range(0, 1000).Count(_ => places.Find() is not null));
            clock.Advance(TimeSpan.FromMilliseconds(10));
        }
    }

    [Fact]
    public Task OpenAsync_ReportSwitchedOff_NeverLooks() => PoolHarness.RunAsync(pool =>
    {
        Assert.Null(pool.Pool.FindCaller().Member);
        return Task.CompletedTask;
    }, o => o.HeldTooLongTimeout = Timeout.InfiniteTimeSpan);

    private static async Task<DbConnection> OpenAsAnyAsync(DbDataSource source) =>
        await source.OpenConnectionAsync(CancellationToken.None);

    private static async Task<string> ReportAsync(PoolHarness pool, int rents = 1)
    {
        await pool.AdvanceUntilAsync("the report", _ => pool.Log.Of(1005).Count() == rents, 1000);
        return string.Join('\n', pool.Log.Of(1005));
    }
}
