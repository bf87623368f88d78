using System.Data.Common;
using System.Globalization;

using MySqlConnector;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Shared reads on the real server with a concurrent writer (INV-10), and the statements that they
/// save.</summary>
public sealed class SharedReadTests : OnSharedServer
{
    private const int Readers = 32;
    private const int ReadsEach = 100;

    [Fact]
    public async Task Ask_WhileAWriterCommits_ShowsWhatWasCommittedBeforeTheArrival()
    {
        PooledDataSource pool = Fixture.CreatePool(static o => o.MaxConnections = 4);
        await using MySqlConnection writer = await Fixture.ObserveAsync();
        await ExecuteAsync(writer, "CREATE TABLE counter (id INT PRIMARY KEY, v BIGINT) ENGINE=InnoDB");
        await ExecuteAsync(writer, "INSERT INTO counter VALUES (1, 0)");
        int askings = 0;
        var read = new SharedRead<int, long>("counter", pool, async (connection, id, token) =>
        {
            Interlocked.Increment(ref askings);
            await using DbCommand command = connection.CreateCommand();

            // It reads the state at its start, and takes some time.
            command.CommandText = "SELECT v FROM counter WHERE id = @id AND SLEEP(0.001) = 0";
            command.Parameters.Add(new MySqlParameter("@id", id));
            return Convert.ToInt64(await command.ExecuteScalarAsync(token), CultureInfo.InvariantCulture);
        });
        long committed = 0;
        bool isOver = false;
        Task writing = Task.Run(async () =>
        {
            while (!Volatile.Read(ref isOver))
            {
                await ExecuteAsync(writer, "UPDATE counter SET v = v + 1 WHERE id = 1");
                Interlocked.Increment(ref committed);
            }
        });

        await Task.WhenAll(Enumerable.Range(0, Readers).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; i < ReadsEach; i++)
            {
                long before = Interlocked.Read(ref committed);
                long seen = (await read.AskAsync(1)).GetValueOrThrow();
                Assert.True(seen >= before, $"saw {seen} after {before} had been committed");
            }
        })));
        Volatile.Write(ref isOver, true);
        await writing;

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Readers * ReadsEach} reads, {askings} askings, {committed} writes");
        Assert.InRange(askings, 1, Readers * ReadsEach / 2);
        Assert.NotEqual(0, committed);
        await UntilAsync(pool, static s => s is { Used: 0, Pending: 0 });
    }

    [Fact]
    public async Task Ask_AllCallersLeave_EndsTheStatementOnTheServer()
    {
        PooledDataSource pool = Fixture.CreatePool(static o => o.MaxConnections = 1);
        var read = new SharedRead<int, long>("sleep", pool, async (connection, seconds, token) =>
        {
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = "SELECT SLEEP(@seconds)";
            command.Parameters.Add(new MySqlParameter("@seconds", seconds));
            return Convert.ToInt64(await command.ExecuteScalarAsync(token), CultureInfo.InvariantCulture);
        });
        using var leaves = new CancellationTokenSource();
        Task<SharedAnswer<long>>[] callers =
            [read.AskAsync(60, default, leaves.Token).AsTask(), read.AskAsync(60, default, leaves.Token).AsTask()];
        await UntilAsync(pool, static s => s.Used == 1);
        await leaves.CancelAsync();
        foreach (Task<SharedAnswer<long>> caller in callers)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => caller);

        // The only connection is returned long before the sleep would have ended.
        await UntilAsync(pool, static s => s is { Used: 0, Pending: 0 });
        Assert.Equal(0, (await read.AskAsync(0)).GetValueOrThrow());
    }
}
