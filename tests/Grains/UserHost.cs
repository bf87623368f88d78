using System.Data.Common;
using Microsoft.Extensions.DependencyInjection;
using Orleans.TestingHost;
using UPool.Cluster;
using UPool.Cluster.Registration;
using UPool.Cluster.Workers;

namespace UPool.Grains.Tests;

/// <summary>The users' grain in a silo with a pool, called from outside as the API does in a cluster.</summary>
public sealed class UserHost : IAsyncDisposable
{
    private readonly InProcessTestCluster _cluster;
    private readonly Func<ValueTask> _release;

    private UserHost(InProcessTestCluster cluster, PooledDataSource pool, Func<ValueTask> release)
    {
        _cluster = cluster;
        _release = release;
        Pool = pool;
        Client = cluster.Client.ServiceProvider.GetRequiredService<WorkerClient<IUserGrain>>();
    }

    public PooledDataSource Pool { get; }

    public WorkerClient<IUserGrain> Client { get; }

    public static async Task<UserHost> StartAsync(PooledDataSource pool, Func<ValueTask> release)
    {
        var builder = new InProcessTestClusterBuilder(1);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.AddWorkers();
            silo.Services.AddSingleton(pool);
        });
        builder.ConfigureClient(static client => client.AddWorkers());
        InProcessTestCluster cluster = builder.Build();
        await cluster.DeployAsync();
        return new UserHost(cluster, pool, release);
    }

    public Task<Reply<UserPage>> ListAsync(int limit = 1000, long after = 0, Deadline? due = null) =>
        Client.ReadAsync((grain, d, t) => grain.List(limit, after, d, t), due ?? In(20), default);

    public Task<Reply<User>> GetAsync(long id) =>
        Client.ReadAsync((grain, d, t) => grain.Get(id, d, t), In(20), default);

    public Task<Reply<User?[]>> GetManyAsync(long[] ids) =>
        Client.ReadAsync((grain, d, t) => grain.GetMany(ids, d, t), In(20), default);

    public Task<Reply<User>> CreateAsync(string name, Deadline? due = null) =>
        Client.WriteAsync((grain, d, t) => grain.Create(name, d, t), due ?? In(20), default);

    public Task<Reply<User[]>> CreateBatchAsync(string[] names) =>
        Client.WriteAsync((grain, d, t) => grain.CreateBatch(names, d, t), In(20), default);

    /// <summary>Waits until no connection of the pool is rented, opening, resetting or closing.</summary>
    public async Task AtRestAsync()
    {
        using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (Pool.Snapshot() is not { Used: 0, Opening: 0, Closing: 0 }) await Task.Delay(5, bound.Token);
    }

    /// <summary>Bypasses the client, which reports unknown if the silo's reply comes after its deadline.</summary>
    public Task<Reply<User[]>> CreateBatchDirectlyAsync(string[] names, Deadline due) =>
        _cluster.Client.GetGrain<IUserGrain>(0).CreateBatch(names, due, default);

    public Task<Reply<User>> RenameAsync(long id, string name) =>
        Client.WriteAsync((grain, d, t) => grain.Rename(id, name, d, t), In(20), default);

    public Task<Reply<User>> DeleteAsync(long id) =>
        Client.WriteAsync((grain, d, t) => grain.Delete(id, d, t), In(20), default);

    /// <summary>The names in the table, in id order.</summary>
    public async Task<string[]> NamesAsync() => [.. Ok(await ListAsync()).ReadUsers().Select(static user => user.Name)];

    public static Deadline In(double seconds) => Deadline.After(TimeSpan.FromSeconds(seconds));

    public static T Ok<T>(Reply<T> reply)
    {
        Assert.True(reply.Status == ReplyStatus.Ok, $"{reply.Status} {reply.Refusal} {reply.Detail}");
        return reply.Value!;
    }

    public async Task ExecuteAsync(string sql)
    {
        RentResult rent = await Pool.RentAsync();
        await using PooledConnection connection = rent.GetConnectionOrThrow();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        await Pool.DisposeAsync();
        await _release();
    }
}
