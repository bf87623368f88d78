using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Sharing;

/// <summary>Several keys of one caller: one statement of their own, answered in the caller's order.</summary>
public sealed class SharedLookupManyTests
{
    [Fact]
    public Task AskMany_DuplicatesAndMissingRows_AreAnsweredInTheOrderOfTheKeys() => RunAsync(
        async (pool, lookup, server) =>
        {
            Task<SharedAnswer<string?[]>> caller = Ask(lookup, [9, -7, 5, 9, 6, -7, 8]);
            Asked<long> asked = await pool.FinishAsync(server.NextAsync());
            Assert.Equal([9, -7, 5, 6, 8, 8, 8, 8], asked.Keys);
            asked.Answer.SetResult("a");
            Assert.Equal(
                ["a9", null, "a5", "a9", "a6", null, "a8"], (await pool.FinishAsync(caller)).GetValueOrThrow()!);
        });

    [Fact]
    public Task AskMany_WhileOthersWait_JoinsNobodyAndNobodyJoinsIt() => RunAsync(async (pool, lookup, server) =>
    {
        Task<SharedAnswer<string>> one = lookup.AskAsync(1).AsTask();
        Asked<long> first = await pool.FinishAsync(server.NextAsync());
        Task<SharedAnswer<string?[]>> many = Ask(lookup, [1, 2]);
        Asked<long> second = await pool.FinishAsync(server.NextAsync());
        Assert.Equal([1, 2], second.Keys);
        Task<SharedAnswer<string?[]>> other = Ask(lookup, [2, 1]);
        Asked<long> third = await pool.FinishAsync(server.NextAsync());
        third.Answer.SetResult("c");
        second.Answer.SetResult("b");
        first.Answer.SetResult("a");
        Assert.Equal(["c2", "c1"], (await pool.FinishAsync(other)).Value!);
        Assert.Equal(["b1", "b2"], (await pool.FinishAsync(many)).Value!);
        Assert.Equal("a1", (await pool.FinishAsync(one)).Value);
    });

    [Fact]
    public Task AskMany_AsManyAsAStatementHolds_AreOneAndOneMoreIsNoLookUp() => RunAsync(
        async (pool, lookup, server) =>
        {
            long[] keys = [.. Enumerable.Range(1, SharedLookup<long, string>.MaxKeys)];
            Task<SharedAnswer<string?[]>> caller = Ask(lookup, keys);
            Asked<long> asked = await pool.FinishAsync(server.NextAsync());
            Assert.Equal(keys, asked.Keys);
            asked.Answer.SetResult("a");
            Assert.Equal(keys.Select(static key => $"a{key}"), (await pool.FinishAsync(caller)).Value!);
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pool.FinishAsync(Ask(lookup, [])));
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
                () => pool.FinishAsync(Ask(lookup, [.. keys, 0])));
            Assert.Equal(1, server.Count);
        });

    [Fact]
    public Task AskMany_NoConnectionInTime_IsRefusedAsAValue() => RunAsync(async (pool, lookup, server) =>
    {
        RentOutcome[] all = new RentOutcome[pool.Options.MaxConnections];
        for (int i = 0; i < all.Length; i++) all[i] = await pool.RentedAsync();
        Task<SharedAnswer<string?[]>> caller = Ask(lookup, [1, 2], pool.In(100));
        pool.Advance(120);
        SharedAnswer<string?[]> answer = await pool.FinishAsync(caller);
        Assert.Equal((false, RefusalReason.TimedOut), (answer.IsAnswered, answer.Refusal));
        Assert.Equal(0, server.Count);
        foreach (RentOutcome rented in all) pool.Return(rented);
    });

    [Fact]
    public Task AskMany_OneKeyFails_IsSplitOnceAndThrowsWhatItFailedWith() => RunAsync(async (pool, lookup, server) =>
    {
        Task<SharedAnswer<string?[]>> caller = Ask(lookup, [1, 2, 3]);
        await FailAsync(pool, server, [1, 2, 3, 3]);
        Asked<long> half = await pool.FinishAsync(server.NextAsync());
        Assert.Equal([1], half.Keys);
        half.Answer.SetResult("a");
        await FailAsync(pool, server, [2, 3]);
        await Assert.ThrowsAsync<FakeDbException>(() => pool.FinishAsync(caller));
        Assert.Equal(3, server.Count);
    });

    [Fact]
    public Task AskMany_FailureThatPasses_IsAnsweredByTheHalves() => RunAsync(async (pool, lookup, server) =>
    {
        Task<SharedAnswer<string?[]>> caller = Ask(lookup, [1, 2, 3]);
        await FailAsync(pool, server, [1, 2, 3, 3]);
        for (int i = 0; i < 2; i++) (await pool.FinishAsync(server.NextAsync())).Answer.SetResult("a");
        Assert.Equal(["a1", "a2", "a3"], (await pool.FinishAsync(caller)).Value!);
    });

    [Fact]
    public Task AskMany_DeadlineAndToken_AreTheStatements() => RunAsync(async (pool, lookup, server) =>
    {
        using var leaves = new CancellationTokenSource();
        Deadline deadline = pool.In(500);
        Task<SharedAnswer<string?[]>> caller = Ask(lookup, [1, 2], deadline, leaves.Token);
        Asked<long> asked = await pool.FinishAsync(server.NextAsync());
        Assert.Equal(deadline, asked.Connection.Deadline);
        await leaves.CancelAsync();
        Assert.True(asked.Token.IsCancellationRequested);
        asked.Answer.SetCanceled(asked.Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(caller));
        await pool.UntilAsync("the return", static c => c.Used == 0);
    });

    [Fact]
    public Task AskMany_LateOrCancelledAlready_AsksNothing() => RunAsync(async (pool, lookup, server) =>
    {
        Deadline deadline = pool.In(1);
        pool.Advance(2);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(Ask(lookup, [1], deadline))).Refusal);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => pool.FinishAsync(Ask(lookup, [1], token: new CancellationToken(canceled: true))));
        Assert.Equal(0, server.Count);
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task AskMany_HoweverItEnds_ReturnsItsConnection(bool isAnswered) => RunAsync(
        async (pool, lookup, server) =>
        {
            Task<SharedAnswer<string?[]>> caller = Ask(lookup, [1, 2]);
            Asked<long> asked = await pool.FinishAsync(server.NextAsync());
            Assert.Equal(1, pool.Counts.Used);
            if (isAnswered) asked.Answer.SetResult("a");
            else asked.Answer.SetException(new FakeDbException(DriverFailure.Connection, "lost"));
            Assert.Equal(isAnswered, await Record.ExceptionAsync(() => pool.FinishAsync(caller)) is null);
            await pool.UntilAsync("the return", static c => c.Used == 0);
            Assert.Equal(1, server.Count);
        });

    private static Task RunAsync(Func<PoolHarness, SharedLookup<long, string>, AskedServer<long>, Task> test) =>
        PoolHarness.RunAsync(
            async pool =>
            {
                var server = new AskedServer<long>();
                await test(pool, new SharedLookup<long, string>("test", pool.Source, server.LookUpAsync), server);
            },
            static o => o.MaxConnections = 3);

    private static Task<SharedAnswer<string?[]>> Ask(
        SharedLookup<long, string> lookup, long[] keys, Deadline deadline = default,
        CancellationToken token = default) => lookup.AskManyAsync(keys, deadline, token).AsTask();

    private static async Task FailAsync(PoolHarness pool, AskedServer<long> server, long[] keys)
    {
        Asked<long> asked = await pool.FinishAsync(server.NextAsync());
        Assert.Equal(keys, asked.Keys);
        asked.Answer.SetException(new FakeDbException(DriverFailure.Statement, "failed"));
    }
}
