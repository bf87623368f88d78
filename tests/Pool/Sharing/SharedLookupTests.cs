using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Sharing;

/// <summary>Look-ups that arrive together become one statement.</summary>
public sealed class SharedLookupTests
{
    [Fact]
    public Task Ask_TogetherWhileTwoAreUnderWay_AreOnePaddedStatement() => RunAsync(async (pool, lookup, server) =>
    {
        Under first = await FillAsync(pool, lookup, server);
        long[] ids = [5, 6, 5, -7, 8, 9];
        Task<SharedAnswer<string>>[] callers = [.. ids.Select(id => lookup.AskAsync(id).AsTask())];
        await first.EndAsync(pool);
        Asked<long> asked = await pool.FinishAsync(server.NextAsync());
        Assert.Equal([5, 6, -7, 8, 9, 9, 9, 9], asked.Keys);
        asked.Answer.SetResult("b");
        Assert.Equal(["b5", "b6", "b5", null, "b8", "b9"], await ValuesAsync(pool, callers));
    });

    [Fact]
    public Task Ask_MoreThanAStatementHolds_AreAskedInTurnOnOneConnection() => RunAsync(async (pool, lookup, server) =>
    {
        const int Callers = SharedLookup<long, string>.MaxKeys + 3;
        Under first = await FillAsync(pool, lookup, server);
        Task<SharedAnswer<string>>[] callers =
            [.. Enumerable.Range(0, Callers).Select(id => lookup.AskAsync(id).AsTask())];
        await first.EndAsync(pool);
        Asked<long> one = await pool.FinishAsync(server.NextAsync());
        Assert.Equal(SharedLookup<long, string>.MaxKeys, one.Keys.Count);
        one.Answer.SetResult("b");
        Asked<long> two = await pool.FinishAsync(server.NextAsync());
        Assert.Equal([256, 257, 258, 258], two.Keys);
        Assert.Same(one.Connection, two.Connection);
        two.Answer.SetResult("c");
        Assert.Equal(
            Enumerable.Range(0, Callers).Select(static id => id < 256 ? $"b{id}" : $"c{id}"),
            await ValuesAsync(pool, callers));
    });

    [Fact]
    public Task Ask_OneKeyFailsTheStatement_TheOtherHalfIsAnswered() => RunAsync(async (pool, lookup, server) =>
    {
        Under first = await FillAsync(pool, lookup, server);
        Task<SharedAnswer<string>>[] callers = [.. new long[] { 1, 2, 3 }.Select(id => lookup.AskAsync(id).AsTask())];
        await first.EndAsync(pool);
        await FailAsync(pool, server, [1, 2, 3, 3]);
        await FailAsync(pool, server, [1]);
        Asked<long> half = await pool.FinishAsync(server.NextAsync());
        Assert.Equal([2, 3], half.Keys);
        half.Answer.SetResult("b");
        await Assert.ThrowsAsync<FakeDbException>(() => pool.FinishAsync(callers[0]));
        Assert.Equal(["b2", "b3"], await ValuesAsync(pool, callers[1..]));
    });

    [Fact]
    public Task Ask_ConnectionLost_FailsAllAndIsNotSplit() => RunAsync(async (pool, lookup, server) =>
    {
        Under first = await FillAsync(pool, lookup, server);
        Task<SharedAnswer<string>>[] callers = [.. new long[] { 1, 2, 3 }.Select(id => lookup.AskAsync(id).AsTask())];
        await first.EndAsync(pool);
        await FailAsync(pool, server, [1, 2, 3, 3], DriverFailure.Connection);
        foreach (Task<SharedAnswer<string>> caller in callers)
            await Assert.ThrowsAsync<FakeDbException>(() => pool.FinishAsync(caller));
        Assert.Equal(3, server.Count);
    });

    [Fact]
    public Task Ask_SharingSwitchedOff_EachKeyIsAStatement() => RunAsync(
        async (pool, lookup, server) =>
        {
            Task<SharedAnswer<string>>[] callers = [lookup.AskAsync(1).AsTask(), lookup.AskAsync(-2).AsTask()];
            for (int i = 0; i < 2; i++)
            {
                Asked<long> asked = await pool.FinishAsync(server.NextAsync());
                Assert.Single(asked.Keys);
                asked.Answer.SetResult("a");
            }

            Assert.Equal(["a1", null], await ValuesAsync(pool, callers));
        },
        isShared: false);

    private static Task RunAsync(
        Func<PoolHarness, SharedLookup<long, string>, AskedServer<long>, Task> test, bool isShared = true) =>
        PoolHarness.RunAsync(async pool =>
        {
            var server = new AskedServer<long>();
            await test(
                pool,
                new SharedLookup<long, string>("test", pool.Source, server.LookUpAsync) { IsShared = isShared },
                server);
        });

    /// <summary>Starts two look-ups, so that a caller arriving now waits for the next one.</summary>
    private static async Task<Under> FillAsync(
        PoolHarness pool, SharedLookup<long, string> lookup, AskedServer<long> server)
    {
        Task<SharedAnswer<string>> first = lookup.AskAsync(1001).AsTask();
        Asked<long> one = await pool.FinishAsync(server.NextAsync());
        Task<SharedAnswer<string>> second = lookup.AskAsync(1002).AsTask();
        return new Under([first, second], [one, await pool.FinishAsync(server.NextAsync())]);
    }

    private static async Task FailAsync(
        PoolHarness pool, AskedServer<long> server, long[] keys, DriverFailure kind = DriverFailure.Statement)
    {
        Asked<long> asked = await pool.FinishAsync(server.NextAsync());
        Assert.Equal(keys, asked.Keys);
        asked.Answer.SetException(new FakeDbException(kind, "failed"));
    }

    private static async Task<string?[]> ValuesAsync(PoolHarness pool, Task<SharedAnswer<string>>[] callers) =>
        [.. (await pool.FinishAsync(Task.WhenAll(callers), "the callers")).Select(static a => a.GetValueOrThrow())];

    private sealed record Under(Task<SharedAnswer<string>>[] Callers, Asked<long>[] Running)
    {
        public async Task EndAsync(PoolHarness pool)
        {
            foreach (Asked<long> asked in Running) asked.Answer.SetResult("a");
            await pool.FinishAsync(Task.WhenAll(Callers));
        }
    }
}
