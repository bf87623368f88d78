using UPool.Sqlite;

namespace UPool.Grains.Tests;

/// <summary>The users' grain on the embedded database.</summary>
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

    // Every kind of refusal that a rent's timeout or the queue's length can cause before the first connection is open.
    [Theory]
    [InlineData(1, 1000)]
    [InlineData(400, 0)]
    [InlineData(1, 0)]
    public async Task CreateEmbeddedAsync_RentsAreRefusedWhileTheFirstConnectionOpens_WaitsOn(int rent, int pending)
    {
        string folder = Directory.CreateTempSubdirectory("upool-users-").FullName;
        await using PooledDataSource pool = SqlitePool.Create(
            Path.Combine(folder, "users.db"),
            new PoolOptions
            {
                MaxConnections = 1,
                RentTimeout = TimeSpan.FromMilliseconds(rent),
                MaxPending = pending,
            });

        await UserSchema.CreateEmbeddedAsync(pool, TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
    }

    // Several processes start in the same folder at once.
    [Fact]
    public async Task CreateEmbeddedAsync_SeveralStartAtOnce_SeedOnce()
    {
        string file = Path.Combine(Directory.CreateTempSubdirectory("upool-users-").FullName, "users.db");
        PooledDataSource[] pools =
            [.. Enumerable.Range(0, 4).Select(_ => SqlitePool.Create(file, new PoolOptions { MaxConnections = 1 }))];
        await Task.WhenAll(pools.Select(static pool => Task.Run(
            () => UserSchema.CreateEmbeddedAsync(pool, TestContext.Current.CancellationToken))))
            .WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);

        await using (var connection = await pools[0].OpenConnectionAsync(TestContext.Current.CancellationToken))
        {
            await using var command = connection.CreateCommand();
            command.CommandText = "SELECT COUNT(*) FROM tb1";
            Assert.Equal(5L, await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
        }

        foreach (PooledDataSource pool in pools) await pool.DisposeAsync();
    }

    [Fact]
    public async Task CreateEmbeddedAsync_FileIsLockedByAnother_WaitsOn()
    {
        string file = Path.Combine(Directory.CreateTempSubdirectory("upool-users-").FullName, "users.db");
        await using PooledDataSource other = SqlitePool.Create(file, new PoolOptions { MaxConnections = 1 });
        await UserSchema.CreateEmbeddedAsync(other, TestContext.Current.CancellationToken);
        var holder = await other.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using (var command = holder.CreateCommand())
        {
            command.CommandText = "DROP TABLE tb1; BEGIN EXCLUSIVE";
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        await using PooledDataSource pool = SqlitePool.Create(file, new PoolOptions { MaxConnections = 1 });
        Task setup = Task.Run(() => UserSchema.CreateEmbeddedAsync(pool, TestContext.Current.CancellationToken));
        await Task.WhenAny(setup, Task.Delay(700, TestContext.Current.CancellationToken));
        Assert.False(setup.IsCompleted, setup.Exception?.ToString());
        await holder.DisposeAsync();
        await setup.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
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
