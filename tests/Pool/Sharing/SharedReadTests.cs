using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Sharing;

/// <summary>Which callers share a read batch, and that they do not affect each other.</summary>
public sealed class SharedReadTests
{
    [Fact]
    public Task Ask_Alone_IsAnswered() => RunAsync(async (pool, read, server) =>
    {
        Task<SharedAnswer<string>> caller = Ask(read);
        await AnswerAsync(pool, server, "a");
        Assert.Equal("a", (await pool.FinishAsync(caller)).GetValueOrThrow());
    });

    [Fact]
    public Task Ask_WhileOneIsAsked_JoinsTheNextAndNeverThatOne() => RunAsync(async (pool, read, server) =>
    {
        Task<SharedAnswer<string>> first = Ask(read);
        Asked<int> running = await pool.FinishAsync(server.NextAsync());
        Task<SharedAnswer<string>> second = Ask(read);
        running.Answer.SetResult("old");
        Assert.Equal("old", (await pool.FinishAsync(first)).Value);
        await AnswerAsync(pool, server, "new");
        Assert.Equal("new", (await pool.FinishAsync(second)).Value);
    });

    [Fact]
    public Task Ask_ManyWhileTwoAreUnderWay_ShareTheThird() => RunAsync(async (pool, read, server) =>
    {
        (Task<SharedAnswer<string>>[] first, Asked<int>[] running) = await FillAsync(pool, read, server);
        Task<SharedAnswer<string>>[] others = [.. Enumerable.Range(0, 50).Select(_ => Ask(read))];
        Assert.Equal(2, server.Count);
        running[0].Answer.SetResult("1");
        running[1].Answer.SetResult("2");
        await AnswerAsync(pool, server, "3");
        Assert.Equal(["1", "2"], await ValuesAsync(pool, first));
        Assert.All(await ValuesAsync(pool, others), static value => Assert.Equal("3", value));
        Assert.Equal(3, server.Count);
    });

    [Fact]
    public Task Ask_BeforeTheConnectionIsThere_JoinsWhoWaitsForIt() => RunAsync(async (pool, read, server) =>
    {
        RentOutcome[] all = await RentAllAsync(pool);
        Task<SharedAnswer<string>>[] callers = [Ask(read), Ask(read), Ask(read)];
        await pool.UntilAsync("the rent", static c => c.Pending == 1);
        callers = [.. callers, Ask(read)];
        pool.Return(all[0]);
        await AnswerAsync(pool, server, "a");
        Assert.All(await ValuesAsync(pool, callers), static value => Assert.Equal("a", value));
        Assert.Equal(1, server.Count);
        foreach (RentOutcome rented in all[1..]) pool.Return(rented);
    });

    [Fact]
    public Task Ask_OneAnswered_TheNextWaitsForHimToAskAgain() => RunAsync(async (pool, read, server) =>
    {
        (Task<SharedAnswer<string>>[] first, Asked<int>[] running) = await FillAsync(pool, read, server);
        Task<SharedAnswer<string>> waiting = Ask(read);
        running[0].Answer.SetResult("1");
        await pool.FinishAsync(first[0]);
        Assert.Equal(2, server.Count);
        Task<SharedAnswer<string>> again = Ask(read);
        await AnswerAsync(pool, server, "3");
        Assert.Equal(["3", "3"], await ValuesAsync(pool, [waiting, again]));
        running[1].Answer.SetResult("2");
        await pool.FinishAsync(first[1]);
    });

    [Fact]
    public Task Ask_TheRunningOneTakesTooLong_TheNextBeginsBesideIt() => RunAsync(async (pool, read, server) =>
    {
        (Task<SharedAnswer<string>>[] first, Asked<int>[] running) = await FillAsync(pool, read, server);
        Task<SharedAnswer<string>> waiting = Ask(read);
        running[0].Answer.SetResult("1");
        await pool.FinishAsync(first[0]);
        Task<Asked<int>> next = server.NextAsync();
        await pool.AdvanceUntilAsync("the next read batch", _ => next.IsCompleted, stepMilliseconds: 5);
        (await next).Answer.SetResult("3");
        Assert.Equal("3", (await pool.FinishAsync(waiting)).Value);
        running[1].Answer.SetResult("2");
        await pool.FinishAsync(first[1]);
    });

    [Fact]
    public Task Ask_OtherQuestion_HasAskingsOfItsOwn() => RunAsync(async (pool, read, server) =>
    {
        Task<SharedAnswer<string>> one = Ask(read, question: 1), other = Ask(read, question: 2);
        for (int i = 0; i < 2; i++)
        {
            Asked<int> asked = await pool.FinishAsync(server.NextAsync());
            asked.Answer.SetResult($"of {asked.Keys[0]}");
        }

        Assert.Equal(["of 1", "of 2"], await ValuesAsync(pool, [one, other]));
    });

    [Fact]
    public Task Ask_Failure_ReachesAllWhoSharedItOnce() => RunAsync(async (pool, read, server) =>
    {
        (Task<SharedAnswer<string>>[] first, Asked<int>[] running) = await FillAsync(pool, read, server);
        Task<SharedAnswer<string>>[] callers = [Ask(read), Ask(read)];
        foreach (Asked<int> asked in running) asked.Answer.SetResult("a");
        await ValuesAsync(pool, first);
        Asked<int> failing = await pool.FinishAsync(server.NextAsync());
        failing.Answer.SetException(new FakeDbException(DriverFailure.Statement, "no such table"));
        foreach (Task<SharedAnswer<string>> caller in callers)
            await Assert.ThrowsAsync<FakeDbException>(() => pool.FinishAsync(caller));
        Assert.Equal(3, server.Count);
    });

    [Fact]
    public Task Ask_NoConnectionInTime_AllGetTheRefusalAsAValue() => RunAsync(async (pool, read, _) =>
    {
        RentOutcome[] all = await RentAllAsync(pool);
        Task<SharedAnswer<string>>[] callers = [Ask(read), Ask(read)];
        await pool.UntilAsync("the rent", static c => c.Pending == 1);
        pool.Advance(pool.Options.RentTimeout.TotalMilliseconds + 20);
        foreach (Task<SharedAnswer<string>> caller in callers)
        {
            SharedAnswer<string> answer = await pool.FinishAsync(caller);
            Assert.False(answer.IsAnswered);
            Assert.Equal(RefusalReason.TimedOut, answer.Refusal);
            Assert.Throws<RentRefusedException>(() => answer.GetValueOrThrow());
        }

        foreach (RentOutcome rented in all) pool.Return(rented);
    });

    [Fact]
    public Task Ask_CallerLeaves_TheOthersStay() => RunAsync(async (pool, read, server) =>
    {
        using var leaves = new CancellationTokenSource();
        (Task<SharedAnswer<string>>[] first, Asked<int>[] running) = await FillAsync(pool, read, server);
        Task<SharedAnswer<string>> leaving = Ask(read, token: leaves.Token), staying = Ask(read);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(leaving));
        foreach (Asked<int> asked in running) asked.Answer.SetResult("a");
        await AnswerAsync(pool, server, "b");
        Assert.Equal("b", (await pool.FinishAsync(staying)).Value);
        await ValuesAsync(pool, first);
    });

    [Fact]
    public Task Ask_AllLeave_EndsTheStatementAndNobodyJoinsIt() => RunAsync(async (pool, read, server) =>
    {
        using var leaves = new CancellationTokenSource();
        Task<SharedAnswer<string>> leaving = Ask(read, token: leaves.Token);
        Asked<int> abandoned = await pool.FinishAsync(server.NextAsync());
        var cut = new TaskCompletionSource();
        await using CancellationTokenRegistration _ = abandoned.Token.Register(cut.SetResult);
        await leaves.CancelAsync();
        await pool.FinishAsync(cut.Task, "the end of the statement");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(leaving));

        Task<SharedAnswer<string>> next = Ask(read);
        abandoned.Answer.SetCanceled();
        await AnswerAsync(pool, server, "a");
        Assert.Equal("a", (await pool.FinishAsync(next)).Value);
    });

    [Fact]
    public Task Ask_AllLeaveBeforeTheConnection_TheRentIsGivenUp() => RunAsync(async (pool, read, server) =>
    {
        using var leaves = new CancellationTokenSource();
        RentOutcome[] all = await RentAllAsync(pool);
        Task<SharedAnswer<string>> leaving = Ask(read, token: leaves.Token);
        await pool.UntilAsync("the rent", static c => c.Pending == 1);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(leaving));
        await pool.UntilAsync("no rent pending", static c => c.Pending == 0);
        foreach (RentOutcome rented in all) pool.Return(rented);
        Assert.Equal(0, server.Count);
    });

    [Fact]
    public Task Ask_OwnDeadlinePasses_EndsThatCallerAlone() => RunAsync(async (pool, read, server) =>
    {
        Task<SharedAnswer<string>> first = Ask(read, pool.In(100));
        Asked<int> running = await pool.FinishAsync(server.NextAsync());
        Task<SharedAnswer<string>> patient = Ask(read, pool.In(3000)), hasty = Ask(read, pool.In(500));
        Asked<int> second = await pool.FinishAsync(server.NextAsync());
        Task<SharedAnswer<string>> waiting = Ask(read, pool.In(200));
        pool.Advance(120);

        // Its statement was sent.
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(first));
        Assert.Equal(pool.In(3000 - 120), second.Connection.Deadline);
        pool.Advance(100);

        // Its statement was never sent: no work was done for it.
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(waiting)).Refusal);
        second.Answer.SetResult("b");
        Assert.Equal(["b", "b"], await ValuesAsync(pool, [patient, hasty]));
        running.Answer.SetResult("a");
    });

    [Fact]
    public Task Ask_DeadlineHasPassed_IsRefusedWithoutAnAsking() => RunAsync(async (pool, read, server) =>
    {
        Deadline deadline = pool.In(1);
        pool.Advance(2);
        Assert.Equal(RefusalReason.TimedOut, (await pool.FinishAsync(Ask(read, deadline))).Refusal);
        Assert.Equal(0, server.Count);
    });

    [Fact]
    public Task Ask_SharingSwitchedOff_EachCallerAsks() => RunAsync(
        async (pool, read, server) =>
        {
            Task<SharedAnswer<string>>[] callers = [Ask(read), Ask(read)];
            for (int i = 0; i < 2; i++) await AnswerAsync(pool, server, "a");
            await ValuesAsync(pool, callers);
        },
        isShared: false);

    private static Task RunAsync(
        Func<PoolHarness, SharedRead<int, string>, AskedServer<int>, Task> test, bool isShared = true) =>
        PoolHarness.RunAsync(async pool =>
        {
            var server = new AskedServer<int>();
            var read = new SharedRead<int, string>("test", pool.Source, server.AskAsync) { IsShared = isShared };
            await test(pool, read, server);
            await pool.AdvanceUntilAsync("no queue", _ => read.QueueCount == 0);
        }, static o => o.MaxConnections = 4);

    /// <summary>Starts two callers with two read batches in progress.</summary>
    private static async Task<(Task<SharedAnswer<string>>[] Callers, Asked<int>[] Running)> FillAsync(
        PoolHarness pool, SharedRead<int, string> read, AskedServer<int> server)
    {
        Task<SharedAnswer<string>> first = Ask(read);
        Asked<int> one = await pool.FinishAsync(server.NextAsync());
        Task<SharedAnswer<string>> second = Ask(read);
        return ([first, second], [one, await pool.FinishAsync(server.NextAsync())]);
    }

    private static async Task<RentOutcome[]> RentAllAsync(PoolHarness pool)
    {
        var all = new RentOutcome[pool.Options.MaxConnections];
        for (int i = 0; i < all.Length; i++) all[i] = await pool.RentedAsync();
        return all;
    }

    private static Task<SharedAnswer<string>> Ask(
        SharedRead<int, string> read, Deadline deadline = default, int question = 1,
        CancellationToken token = default) => read.AskAsync(question, deadline, token).AsTask();

    private static async Task AnswerAsync(PoolHarness pool, AskedServer<int> server, string answer) =>
        (await pool.FinishAsync(server.NextAsync(), "a read batch")).Answer.SetResult(answer);

    private static async Task<string?[]> ValuesAsync(PoolHarness pool, Task<SharedAnswer<string>>[] callers) =>
        [.. (await pool.FinishAsync(Task.WhenAll(callers), "the callers")).Select(static a => a.GetValueOrThrow())];
}
