using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using UPool.Cluster.Status;
using UPool.Hosting;

namespace UPool.Cluster.Tests.Status;

/// <summary>A silo's report of its pool.</summary>
public sealed class SiloPoolTests
{
    private static readonly ServiceProvider Services = new ServiceCollection().AddSerializer().BuildServiceProvider();

    [Theory]
    [InlineData(0, 4, 4, 0, 0, 10, null, null)]
    [InlineData(3, 4, 4, 0, 0, 10, null, "all 4 permits are used; the budget gives no more now")]
    [InlineData(3, 10, 9, 0, 1, 10, null, "all 10 permits are used; UPool:Pool:MaxConnections allows no more")]
    [InlineData(3, 4, 3, 1, 0, 10, null, "a connection is being opened")]
    [InlineData(3, 4, 3, 0, 0, 10, null, "a connection is being checked or opened")]
    [InlineData(3, 0, 0, 0, 0, 10, null, "no permits: the budget has granted none yet")]
    [InlineData(3, 4, 0, 0, 0, 10, "The database is away.", "The database is away.")]
    public void WhyWaits_EachState_IsSaidInWords(
        int pending, int permits, int used, int opening, int closing, int ceiling, string? problem, string? expected)
    {
        PoolSnapshot pool = Sample() with
        {
            Pending = pending,
            Permits = permits,
            Used = used,
            Opening = opening,
            Closing = closing,
        };

        Assert.Equal(expected, PoolReport.DescribeWait(pool, ceiling, problem));
    }

    [Fact]
    public void SiloPool_EveryMember_SurvivesTheJourney()
    {
        var sent = new SiloPool
        {
            Silo = "127.0.0.1:11111@1",
            Pool = Sample(),
            Ceiling = 10,
            LeaseLeft = TimeSpan.FromSeconds(7),
            Waits = "waits",
            Problem = "problem",
        };
        var serializer = Services.GetRequiredService<Serializer>();

        SiloPool? received = serializer.Deserialize<SiloPool>(serializer.SerializeToArray(sent));

        // As text, because a snapshot's dictionary would be compared by reference.
        Assert.Equal(JsonSerializer.Serialize(sent), JsonSerializer.Serialize(received));
    }

    // Every member has a different value, so that swapped members are detected.
    private static PoolSnapshot Sample() => new()
    {
        Pool = "users",
        Permits = 1,
        Opening = 2,
        Idle = 3,
        Used = 4,
        Closing = 5,
        Pending = 6,
        Rented = 7,
        TimedOut = 8,
        Rejected = 9,
        Opened = 10,
        Severed = 11,
        Closed = new Dictionary<string, long> { ["pruned"] = 12, ["surplus"] = 13 },
        Wait = new DurationPercentiles(Seconds(14), Seconds(15), Seconds(16)),
        Use = new DurationPercentiles(Seconds(17), Seconds(18), Seconds(19)),
    };

    private static TimeSpan Seconds(int seconds) => TimeSpan.FromSeconds(seconds);
}
