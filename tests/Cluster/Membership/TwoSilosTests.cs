using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Placement;

namespace UPool.Cluster.Tests.Membership;

/// <summary>The schema under Orleans itself: two silos, membership and grain storage.</summary>
public sealed class TwoSilosTests(TwoSilosFixture cluster) : IClassFixture<TwoSilosFixture>
{
    [Fact]
    public async Task Membership_TwoSilosThatSeeEachOther_StandInTheTableAsActive() =>
        Assert.Equal("2", await cluster.Schema.ExecuteAsync("SELECT COUNT(*) FROM upool_member WHERE Status = 3"));

    [Fact]
    public async Task Grains_ManyKeysFromOneSilo_KeepTheirStatesOnBoth()
    {
        var factory = cluster.Silos[0].GetRequiredService<IGrainFactory>();
        var keys = Enumerable.Range(0, 40).Select(number => $"counter-{number}").ToArray();

        var hosts = new ConcurrentBag<string>();
        foreach (var key in keys)
        {
            await factory.GetGrain<ICounterGrain>(key).AddAsync(2);
            hosts.Add(await factory.GetGrain<ICounterGrain>(key).HostAndDeactivateAsync());
        }

        Assert.Equal(2, hosts.Distinct().Count());
        foreach (var key in keys)
        {
            Assert.Equal(5, await factory.GetGrain<ICounterGrain>(key).AddAsync(3));
        }
    }
}

/// <summary>A grain with a state.</summary>
[Alias("UPool.Tests.ICounterGrain")]
public interface ICounterGrain : IGrainWithStringKey
{
    /// <summary>Adds a number, stores the sum and returns it.</summary>
    [Alias("AddAsync")]
    Task<int> AddAsync(int number);

    /// <summary>Returns the silo's address and deactivates: the next call creates a new activation.</summary>
    [Alias("HostAndDeactivateAsync")]
    Task<string> HostAndDeactivateAsync();
}

/// <summary>The state: one number.</summary>
[GenerateSerializer, Alias("UPool.Tests.CounterState")]
public sealed class CounterState
{
    /// <summary>The sum.</summary>
    [Id(0)] public int Sum { get; set; }
}

/// <inheritdoc cref="ICounterGrain"/>
[RandomPlacement]
public sealed class CounterGrain(
    [PersistentState("tests-counter", TwoSilosFixture.Storage)] IPersistentState<CounterState> state,
    ILocalSiloDetails silo) : Grain, ICounterGrain
{
    /// <inheritdoc/>
    public async Task<int> AddAsync(int number)
    {
        state.State.Sum += number;
        await state.WriteStateAsync();
        return state.State.Sum;
    }

    /// <inheritdoc/>
    public Task<string> HostAndDeactivateAsync()
    {
        DeactivateOnIdle();
        return Task.FromResult(silo.SiloAddress.ToString());
    }
}
