using MySqlConnector;
using UPool.Cluster.Workers;
using UPool.Testing;

namespace UPool.Grains.Tests;

/// <summary>Shared calls down to the real server with a concurrent writer (INV-10), and the statements that they
/// save.</summary>
public sealed class SharedCallTests
{
    private const int Readers = 32;
    private const int ReadsEach = 60;

    [Fact]
    public async Task Read_WhileAWriterCommits_ShowsWhatWasCommittedBeforeTheArrival()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString);
        User[] all = UserHost.Ok(await users.CreateBatchAsync(["0", "0", "0"]));
        int calls = 0;
        SharedCall<int, UserPage> pages = users.Client.Share<int, UserPage>("pages", (grain, limit, due, token) =>
        {
            Interlocked.Increment(ref calls);
            return grain.List(limit, 0, due, token);
        });
        SharedCall<long, User> lookUps = users.Client.ShareLookup<long, User>(
            "users", static (grain, id, due, token) => grain.Get(id, due, token), (grain, ids, due, token) =>
            {
                Interlocked.Increment(ref calls);
                return grain.GetMany(ids, due, token);
            });
        long committed = 0;
        bool isOver = false;
        Task writing = Task.Run(async () =>
        {
            await using var writer = new MySqlConnection(database.ConnectionString);
            await writer.OpenAsync();
            while (!Volatile.Read(ref isOver))
            {
                await using MySqlCommand command = writer.CreateCommand();
                command.CommandText = "UPDATE tb1 SET name = name + 1";
                await command.ExecuteNonQueryAsync();
                Interlocked.Increment(ref committed);
            }
        });

        await Task.WhenAll(Enumerable.Range(0, Readers).Select(reader => Task.Run(async () =>
        {
            for (int i = 0; i < ReadsEach; i++)
            {
                User user = all[(reader + i) % all.Length];
                long before = Interlocked.Read(ref committed);
                string name = reader % 2 == 0
                    ? UserHost.Ok(await lookUps.ReadAsync(user.Id, UserHost.In(20), CancellationToken.None)).Name
                    : UserHost.Ok(await pages.ReadAsync(100, UserHost.In(20), CancellationToken.None)).ReadUsers()
                        .Single(one => one.Id == user.Id).Name;
                long seen = long.Parse(name, System.Globalization.CultureInfo.InvariantCulture);
                Assert.True(seen >= before, $"saw {seen} after {before} had been committed");
            }
        })));
        Volatile.Write(ref isOver, true);
        await writing;

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Readers * ReadsEach} reads, {calls} calls, {committed} writes");
        Assert.InRange(calls, 1, Readers * ReadsEach / 2);
        Assert.NotEqual(0, committed);
    }
}
