using UPool.Tests.Fakes;

namespace UPool.Tests.Sharing;

/// <summary>With a slow server, look-ups start at once instead of waiting to share; after a fast answer they share
/// again.</summary>
public sealed class FarLookupTests
{
    // The number of remembered query times.
    private const int Remembered = 64;

    private const int MostUnderWay = 8;

    [Fact]
    public Task Ask_EveryAnswerTakesLong_BeginsAtOnceUpToTheLimit() => RunAsync(async (pool, lookup, server) =>
    {
        await AskInTurnAsync(pool, lookup, server, milliseconds: 2);
        var callers = new List<Task<SharedAnswer<string>>>();
        var asked = new List<Asked<long>>();
        for (int id = 1; id <= MostUnderWay; id++)
        {
            callers.Add(lookup.AskAsync(id).AsTask());
            asked.Add(await pool.FinishAsync(server.NextAsync(), $"query {id}"));
            Assert.Equal([id], asked[^1].Keys);
        }

        callers.AddRange(new long[] { 91, 92 }.Select(id => lookup.AskAsync(id).AsTask()));
        int sent = server.Count;
        pool.Advance(2);
        asked[0].Answer.SetResult("a");
        await pool.FinishAsync(callers[0]);
        asked.Add(await pool.FinishAsync(server.NextAsync(), "the batch beyond the limit"));
        Assert.Equal([91, 92], asked[^1].Keys);
        Assert.Equal(sent + 1, server.Count);
        foreach (Asked<long> one in asked.Skip(1)) one.Answer.SetResult("a");
        await pool.FinishAsync(Task.WhenAll(callers), "the callers");
    });

    [Fact]
    public Task Ask_OneAnswerWasQuick_TwoAreUnderWayAtMost() => RunAsync(async (pool, lookup, server) =>
    {
        await AskInTurnAsync(pool, lookup, server, milliseconds: 2);
        await AskOneAsync(pool, lookup, server, milliseconds: 0);
        Task<SharedAnswer<string>>[] callers =
            [lookup.AskAsync(1).AsTask(), lookup.AskAsync(2).AsTask(), lookup.AskAsync(3).AsTask()];
        var asked = new List<Asked<long>> { await pool.FinishAsync(server.NextAsync()) };
        while (asked.Sum(static one => one.Keys.Count) < callers.Length)
        {
            // Answered one by one: a look-up that has not started waits for another one's end.
            asked[^1].Answer.SetResult("a");
            asked.Add(await pool.FinishAsync(server.NextAsync()));
            Assert.InRange(asked.Count(static one => !one.Answer.Task.IsCompleted), 1, 2);
        }

        asked[^1].Answer.TrySetResult("a");
        await pool.FinishAsync(Task.WhenAll(callers), "the callers");
    });

    private static Task RunAsync(Func<PoolHarness, SharedLookup<long, string>, AskedServer<long>, Task> test) =>
        PoolHarness.RunAsync(
            async pool =>
            {
                var server = new AskedServer<long>();
                await test(pool, new SharedLookup<long, string>("test", pool.Source, server.LookUpAsync), server);
            },
            static o => o.MaxConnections = MostUnderWay + 2);

    private static async Task AskInTurnAsync(
        PoolHarness pool, SharedLookup<long, string> lookup, AskedServer<long> server, double milliseconds)
    {
        for (int i = 0; i < Remembered; i++) await AskOneAsync(pool, lookup, server, milliseconds);
    }

    private static async Task AskOneAsync(
        PoolHarness pool, SharedLookup<long, string> lookup, AskedServer<long> server, double milliseconds)
    {
        Task<SharedAnswer<string>> caller = lookup.AskAsync(1).AsTask();
        Asked<long> asked = await pool.FinishAsync(server.NextAsync());
        pool.Advance(milliseconds);
        asked.Answer.SetResult("a");
        await pool.FinishAsync(caller);
    }
}
