using System.Globalization;

using MySqlConnector;

using UPool.Testing;

namespace UPool.Tests.MySql;

/// <summary>
/// Seeded chaos on the real server: half a minute by default, an hour with <c>UPOOL_CHAOS_SECONDS=3600</c>. The seed is
/// printed; <c>UPOOL_TEST_SEED</c> sets it.
/// </summary>
[Collection(nameof(Alone))]
[Trait("Needs", "OwnProcesses")]
public sealed class ChaosTests
{
    private const int ShortSeconds = 30;

    [Fact]
    public async Task Chaos_OfEveryKind_EveryPermitIsBackAndNoAcknowledgedWriteIsLost()
    {
        int seconds = Number("UPOOL_CHAOS_SECONDS") ?? ShortSeconds;
        int seed = (int)Seed.Next();
        bool isLong = seconds > ShortSeconds;
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        PooledDataSource pool = fixture.CreatePool(o =>
        {
            o.RecoveryTimeout = TimeSpan.FromSeconds(1);
            o.OpenTimeout = TimeSpan.FromSeconds(1);
            o.MaxLifetime = TimeSpan.FromSeconds(20);
        });
        await using (MySqlConnection root = await fixture.ObserveAsync(server.RootConnectionString))
            await ChaosRun.PrepareAsync(root);

        var run = new ChaosRun(server, pool, seed);
        await using var lateness = new TimerLateness();
        try
        {
            await run.RunAsync(TimeSpan.FromSeconds(seconds), maxFreezeSeconds: isLong ? 10 : 2);
            await using MySqlConnection root = await fixture.ObserveAsync(server.RootConnectionString);
            await run.VerifyAsync(root);
        }
        finally
        {
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{run.Figures} (a bare timer: {lateness.WorstMilliseconds:0} ms); {pool.Snapshot()}");
        }

        Assert.True(run.SlowestPastDeadline <= 50 + lateness.WorstMilliseconds, run.Figures);
        if (!isLong) return;

        Assert.True(run.CalmShare >= 0.99, run.Figures);
        if (seconds >= 3600) Assert.All(run.Faults, fault => Assert.True(fault.Value >= 50, run.Figures));
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int value)
            ? value
            : null;
}
