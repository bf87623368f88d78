using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using UPool.Cluster.Budget;
using UPool.Cluster.Status;
using UPool.Hosting;

namespace UPool.Cluster.Tests.Status;

/// <summary>The operators' view if the silos or the coordinator do not reply.</summary>
public sealed class ClusterPoolReaderTests
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData(null)]
    [InlineData("100")]
    public async Task Read_NothingIsEverAnswered_SaysSoWithinItsBound(string? serverConnections)
    {
        var clock = new FakeTimeProvider();
        Task<PoolsReport> reading = Reader(new SilentCluster(), serverConnections, clock).ReadAsync();
        clock.Advance(ClusterPoolReader.LongestWait - TimeSpan.FromMilliseconds(1));
        Assert.False(reading.IsCompleted);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        PoolsReport pools = await reading.WaitAsync(Patient, TestContext.Current.CancellationToken);
        Assert.Equal("The cluster cannot be asked: no silo answers.", pools.Problem);
        Assert.Empty(pools.Silos);
        Assert.Null(pools.Budget);
    }

    [Fact]
    public async Task Read_TheCoordinatorNeverAnswers_ShowsTheSilosAndSaysSo()
    {
        var clock = new FakeTimeProvider();
        var cluster = new SilentCluster { Silos = Task.FromResult<SiloPool[]>([new SiloPool { Silo = "one" }]) };
        Task<PoolsReport> reading = Reader(cluster, "100", clock).ReadAsync();
        clock.Advance(ClusterPoolReader.LongestWait);
        PoolsReport pools = await reading.WaitAsync(Patient, TestContext.Current.CancellationToken);
        Assert.Equal("The coordinator of the budget does not answer.", pools.Problem);
        Assert.Equal("one", Assert.Single(pools.Silos).Silo);
    }

    private static ClusterPoolReader Reader(SilentCluster cluster, string? serverConnections, TimeProvider clock)
    {
        IGrainFactory grains = DispatchProxy.Create<IGrainFactory, GrainsOf>();
        ((GrainsOf)grains).Cluster = cluster;
        return new ClusterPoolReader(
            grains,
            Options.Create(new BudgetOptions { ServerConnections = serverConnections }),
            new DeploymentIdentity("cluster", "service"),
            clock,
            NullLogger<ClusterPoolReader>.Instance);
    }

    /// <summary>Returns what the test has set; otherwise never replies.</summary>
    internal sealed class SilentCluster : IPoolStatusGrain, IConnectionBudgetGrain
    {
        public Task<SiloPool[]> Silos { get; init; } = new TaskCompletionSource<SiloPool[]>().Task;

        public Task<SiloPool[]> ReadAll() => Silos;

        public Task<LeaseReply> Renew(LeaseRequest request) => throw new NotSupportedException();

        public Task<BudgetView> View() => new TaskCompletionSource<BudgetView>().Task;
    }

    /// <summary>Returns the test's grain for every call.</summary>
    [SuppressMessage("Performance", "CA1852", Justification = "DispatchProxy derives from it at run time.")]
    internal class GrainsOf : DispatchProxy
    {
        public SilentCluster? Cluster { get; set; }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => Cluster;
    }
}
