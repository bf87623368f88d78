using UPool.Sqlite;

namespace UPool.Grains.Tests;

/// <summary>The embedded default.</summary>
public sealed class SqliteUserGrainTests(SqliteFixture fixture) : UserGrainTests(fixture), IClassFixture<SqliteFixture>
{
    [Fact]
    public async Task CreateEmbeddedAsync_NewFile_IsSeededOnce()
    {
        string folder = Directory.CreateTempSubdirectory("upool-users-").FullName;
        await using PooledDataSource pool = SqliteFixture.CreatePool(folder);
        await UserSchema.CreateEmbeddedAsync(pool, TestContext.Current.CancellationToken);
        await using var users = await UserHost.StartAsync(pool, () => ValueTask.CompletedTask);
        string[] seeds = await users.NamesAsync();
        Assert.NotEmpty(seeds);

        await users.ExecuteAsync("DELETE FROM tb1");
        await UserSchema.CreateEmbeddedAsync(pool, TestContext.Current.CancellationToken);

        Assert.Empty(await users.NamesAsync());
    }

    [Fact]
    public async Task CreateEmbeddedAsync_NoConnectionWithinARequestsTime_WaitsOn()
    {
        string folder = Directory.CreateTempSubdirectory("upool-users-").FullName;
        await using PooledDataSource pool = SqlitePool.Create(
            Path.Combine(folder, "users.db"),
            new PoolOptions { MaxConnections = 1, RentTimeout = TimeSpan.FromMilliseconds(50) });
        RentResult held = await pool.RentAsync(cancellationToken: TestContext.Current.CancellationToken);
        while (!held.IsRented) held = await pool.RentAsync(cancellationToken: TestContext.Current.CancellationToken);
        PooledConnection holder = held.GetConnectionOrThrow();
        long refused = Refused(pool);

        Task setup = UserSchema.CreateEmbeddedAsync(pool, TestContext.Current.CancellationToken);
        while (Refused(pool) == refused && !setup.IsCompleted)
            await Task.Delay(5, TestContext.Current.CancellationToken);
        Assert.False(setup.IsCompleted, setup.Exception?.Message);
        await holder.DisposeAsync();

        await setup.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
    }

    private static long Refused(PooledDataSource pool) => pool.Snapshot() is var now ? now.TimedOut + now.Rejected : 0;
}

public sealed class SqliteFixture : UserHostFixture
{
    public override string Reset => "DELETE FROM tb1; DELETE FROM sqlite_sequence";

    public static PooledDataSource CreatePool(string folder) =>
        SqlitePool.Create(Path.Combine(folder, "users.db"), new PoolOptions { RentTimeout = TimeSpan.FromSeconds(10) });

    protected override async Task<UserHost> StartAsync()
    {
        string folder = Directory.CreateTempSubdirectory("upool-users-").FullName;
        PooledDataSource pool = CreatePool(folder);
        await UserSchema.CreateEmbeddedAsync(pool, default);
        return await UserHost.StartAsync(pool, () =>
        {
            Directory.Delete(folder, recursive: true);
            return ValueTask.CompletedTask;
        });
    }
}
