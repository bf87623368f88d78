using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

/// <summary>Look-ups that arrive together become one call.</summary>
public sealed class SharedCallLookupTests
{
    [Fact]
    public async Task LookUp_TogetherWhileTwoCallsAreUnderWay_AreOneCallOfEachKeyOnce()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>>[] callers = calls.LookUpAll(5, 6, 5, -7, 8);
        await old.EndAsync();
        HeldCall call = await calls.NextAsync();
        Assert.Equal([5, 6, -7, 8], call.Keys);
        call.Answer("new ");
        Assert.Equal(ReplyStatus.NotFound, (await calls.FinishAsync(callers[3])).Status);
        Assert.Equal(
            ["new 5", "new 6", "new 5", "new 8"],
            await calls.ValuesAsync(callers[0], callers[1], callers[2], callers[4]));
        Assert.Equal(3, calls.Count);
    }

    [Fact]
    public async Task LookUp_WhileACallIsUnderWay_IsAnsweredByTheNextAndNeverByThatOne()
    {
        using var calls = new CallHarness();
        Task<Reply<string>> first = calls.LookUp(5);
        HeldCall running = await calls.NextAsync();
        Task<Reply<string>> second = calls.LookUp(5);
        running.Answer("old ");
        Assert.Equal(["old 5"], await calls.ValuesAsync(first));
        (await calls.NextAsync()).Answer("new ");
        Assert.Equal(["new 5"], await calls.ValuesAsync(second));
    }

    [Fact]
    public async Task LookUp_WhoWasAnsweredDoesNotComeBack_TheNextBeginsWithinATick()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>> waiting = calls.LookUp(5);
        old.Calls[0].Answer("old ");
        await calls.ValuesAsync(old.Callers[0]);

        // The next batch waits a little for the answered callers, which tend to call again, but not forever.
        Assert.Equal(2, calls.Count);
        calls.Advance(20);
        (await calls.NextAsync()).Answer("new ");
        Assert.Equal(["new 5"], await calls.ValuesAsync(waiting));
        old.Calls[1].Answer("old ");
        await calls.ValuesAsync(old.Callers[1]);
        Task<Reply<string>> later = calls.LookUp(6);
        (await calls.NextAsync()).Answer("");
        Assert.Equal(["6"], await calls.ValuesAsync(later));
    }

    [Fact]
    public async Task LookUp_OneKeyFailsTheBatch_ItIsSplitOnceAndTheOtherHalfIsAnswered()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>>[] callers = calls.LookUpAll(1, 2, 3, 4, 5);
        await old.EndAsync();
        await FailAsync(calls, [1, 2, 3, 4, 5]);
        HeldCall half = await calls.NextAsync();
        Assert.Equal([1, 2], half.Keys);
        half.Answer("new ");
        await FailAsync(calls, [3, 4, 5]);
        Assert.Equal(["new 1", "new 2"], await calls.ValuesAsync(callers[..2]));
        foreach (Task<Reply<string>> caller in callers[2..])
            Assert.Equal(ReplyStatus.Failed, (await calls.FinishAsync(caller)).Status);
        Assert.Equal(5, calls.Count);
    }

    [Fact]
    public async Task LookUp_OneKeyFails_IsNotCalledAgain()
    {
        using var calls = new CallHarness();
        Task<Reply<string>> caller = calls.LookUp(1);
        await FailAsync(calls, [1]);
        Assert.Equal(ReplyStatus.Failed, (await calls.FinishAsync(caller)).Status);
        Assert.Equal(1, calls.Count);
    }

    [Theory]
    [InlineData(ReplyStatus.DeadlineExceeded)]
    [InlineData(ReplyStatus.Unavailable)]
    [InlineData(ReplyStatus.Invalid)]
    public async Task LookUp_BatchEndsOtherwise_ReachesAllAndIsNotSplit(ReplyStatus status)
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>>[] callers = calls.LookUpAll(1, 2, 3);
        await old.EndAsync();
        (await calls.NextAsync()).Fail(status);
        foreach (Task<Reply<string>> caller in callers)
            Assert.Equal(status, (await calls.FinishAsync(caller)).Status);
        Assert.Equal(3, calls.Count);
    }

    [Fact]
    public async Task LookUp_BatchIsRefused_EachHearsTheReason()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>>[] callers = calls.LookUpAll(1, 2);
        await old.EndAsync();
        (await calls.NextAsync()).Ending.SetResult(Reply.Refused<string?[]>(RefusalReason.QueueFull, "full"));
        foreach (Task<Reply<string>> caller in callers)
        {
            Reply<string> reply = await calls.FinishAsync(caller);
            Assert.Equal(
                (ReplyStatus.Refused, RefusalReason.QueueFull, "full"), (reply.Status, reply.Refusal, reply.Detail));
        }
    }

    [Fact]
    public async Task LookUp_MoreThanACallHolds_AreSeveralCallsAndOneThatFailsIsAlone()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>>[] callers = calls.LookUpAll(Enumerable.Range(0, 520));
        await old.EndAsync();
        HeldCall one = await calls.NextAsync();
        Assert.Equal(Enumerable.Range(0, 256), one.Keys);
        one.Answer("a");
        HeldCall two = await calls.NextAsync();
        Assert.Equal(Enumerable.Range(256, 256), two.Keys);
        two.Fail(ReplyStatus.Unavailable);
        HeldCall three = await calls.NextAsync();
        Assert.Equal(Enumerable.Range(512, 8), three.Keys);
        three.Answer("c");
        Assert.Equal(Enumerable.Range(0, 256).Select(static key => $"a{key}"), await calls.ValuesAsync(callers[..256]));
        foreach (Task<Reply<string>> caller in callers[256..512])
            Assert.Equal(ReplyStatus.Unavailable, (await calls.FinishAsync(caller)).Status);
        Assert.Equal(Enumerable.Range(512, 8).Select(static key => $"c{key}"), await calls.ValuesAsync(callers[512..]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(null)]
    public async Task LookUp_AnswerOfAnotherLength_FailsAllOfThem(int? rows)
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>>[] callers = calls.LookUpAll(1, 2, 3);
        await old.EndAsync();
        (await calls.NextAsync()).Ending.SetResult(Reply.Ok(rows is { } count ? new string?[count] : null!));
        foreach (Task<Reply<string>> caller in callers)
        {
            var bug = await Assert.ThrowsAsync<InvalidOperationException>(() => calls.FinishAsync(caller));
            Assert.StartsWith("bug:", bug.Message, StringComparison.Ordinal);
        }

        // Later look-ups still work.
        Task<Reply<string>> next = calls.LookUp(4);
        (await calls.NextAsync()).Answer("");
        Assert.Equal(["4"], await calls.ValuesAsync(next));
    }

    [Fact]
    public async Task LookUp_SomeLeaveBeforeTheCall_TheirKeysAreNotInIt()
    {
        using var calls = new CallHarness();
        using var leaves = new CancellationTokenSource();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>> leaving = calls.LookUp(1, token: leaves.Token), late = calls.LookUp(2, calls.In(20)),
            same = calls.LookUp(3, token: leaves.Token), staying = calls.LookUp(3);
        await leaves.CancelAsync();
        calls.Advance(30);
        await old.EndAsync();
        HeldCall call = await calls.NextAsync();
        Assert.Equal([3], call.Keys);
        call.Answer("new ");
        Assert.Equal(["new 3"], await calls.ValuesAsync(staying));
        foreach (Task<Reply<string>> left in new[] { leaving, same })
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.FinishAsync(left));
        Assert.Equal(RefusalReason.TimedOut, (await calls.FinishAsync(late)).Refusal);
    }

    [Fact]
    public async Task LookUp_SiloOfAnEarlierVersion_IsAskedForEachKey()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.LookUp(1001));
        Task<Reply<string>>[] callers = calls.LookUpAll(1, 2, -3);
        await old.EndAsync();
        (await calls.NextAsync()).Fail(detail: WorkerFailures.UnknownCall);
        for (int i = 0; i < callers.Length; i++)
        {
            HeldCall one = await calls.NextAsync();
            Assert.Single(one.Keys);
            one.Answer("new ");
        }

        Assert.Equal(["new 1", "new 2", null], await calls.ValuesAsync(callers));
    }

    private static async Task FailAsync(CallHarness calls, int[] keys)
    {
        HeldCall call = await calls.NextAsync();
        Assert.Equal(keys, call.Keys);
        call.Fail();
    }
}
