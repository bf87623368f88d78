using UPool.Bench.Runner.Growth;
using UPool.Bench.Runner.Http;
using UPool.Bench.Runner.Overload;
using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Tests;

/// <summary>The bench works: every part runs a small fixed amount of work on real programs and a real database. No
/// speed is checked.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class SmokeTests(SmokeTests.Server server) : IClassFixture<SmokeTests.Server>
{
    private const int FewClients = 8;

    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(100);

    private readonly Database _database = server.Database;

    [Fact]
    public async Task Http_NearAndFar_EverythingIsServedByEverySide()
    {
        // Only one side with the delay: the delay is the same for all.
        HttpCell[] plan =
        [
            .. HttpPlan.Full.Where(static cell => cell.Clients == FewClients
                && (cell.Side.Name == Side.Best || (cell.Side.Name == Side.CoHostedShared && !cell.IsDelayed))),
        ];

        PartResult result = await new HttpPart(_database, new FixedLoad(), Say).RunAsync(plan, rounds: 1);

        Assert.Equal(6, result.Rows.Count);
        Assert.All(result.Rows, static row =>
        {
            Assert.True(row.Values.Single() > 0, $"{row.Name} of {row.Side}: nothing was served");
            Assert.Equal(0, row.Also![HttpPart.Other].Single());
        });
    }

    [Fact]
    public async Task Overload_TwiceTheCapacity_EveryPoolServesAndEverybodyIsCounted()
    {
        PartResult result = await new OverloadPart(_database, Say).RunAsync([2], rounds: 1, Moment);

        Assert.Equal(4, result.Rows.Count);
        Assert.All(result.Rows, static row => Assert.True(row.Values.Single() > 0, $"{row.Side} served no request"));
    }

    [Fact]
    public async Task Growth_OnePointOfEach_EveryCurveHasIt()
    {
        PartResult result = await new GrowthPart(_database, new FixedLoad(), Say).RunAsync(
            new GrowthPoints([3], [2], [5], [1]), rounds: 1, Moment);

        Assert.Equal([3, 3, 2, 2, 5, 5, 1], result.Rows.Select(static row => row.Point.Values.Single()));
        Assert.All(result.Rows, static row => Assert.True(row.Values.Single() > 0, $"{row.Name} of {row.Side}"));
    }

    private static void Say(string text) => TestContext.Current.TestOutputHelper?.WriteLine(text);

    /// <summary>One database for all tests.</summary>
    public sealed class Server : IAsyncLifetime
    {
        internal Database Database { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Database = await Database.StartAsync();

        public ValueTask DisposeAsync() => Database.DisposeAsync();
    }
}
