using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace UPool.Cluster.Tests.Workers;

/// <summary>Which callers share a call, and that they do not affect each other.</summary>
public sealed class SharedCallTests
{
    // The most milliseconds that a silo's reply may come after a deadline.
    private const double Grace = 25;

    [Fact]
    public async Task Read_ManyWhileTwoCallsAreUnderWay_ShareTheThird()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Task<Reply<string>>[] callers = [.. Enumerable.Range(0, 50).Select(_ => calls.Read())];
        Assert.Equal(2, calls.Count);
        await old.EndAsync();
        (await calls.NextAsync()).Answer("new ");
        Assert.All(await calls.ValuesAsync(callers), static value => Assert.Equal("new 1", value));
        Assert.Equal(3, calls.Count);
    }

    [Fact]
    public async Task Read_WhileACallIsUnderWay_IsAnsweredByTheNextAndNeverByThatOne()
    {
        using var calls = new CallHarness();
        Task<Reply<string>> first = calls.Read();
        HeldCall running = await calls.NextAsync();
        Task<Reply<string>> second = calls.Read();
        running.Answer("old ");
        Assert.Equal(["old 1"], await calls.ValuesAsync(first));
        (await calls.NextAsync()).Answer("new ");
        Assert.Equal(["new 1"], await calls.ValuesAsync(second));
    }

    [Fact]
    public async Task Read_OtherQuestion_HasCallsOfItsOwn()
    {
        using var calls = new CallHarness();
        Task<Reply<string>>[] callers = [calls.Read(question: 1), calls.Read(question: 2)];
        for (int i = 0; i < 2; i++) (await calls.NextAsync()).Answer("of ");
        Assert.Equal(["of 1", "of 2"], await calls.ValuesAsync(callers));
    }

    [Fact]
    public async Task Read_DeadlineBeforeTheCallIsSent_RefusesThatCallerAlone()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Task<Reply<string>> patient = calls.Read(calls.In(3000)), hasty = calls.Read(calls.In(100));
        calls.Advance(99);
        Assert.False(hasty.IsCompleted);
        calls.Advance(11);
        Reply<string> refused = await calls.FinishAsync(hasty);
        Assert.Equal((ReplyStatus.Refused, RefusalReason.TimedOut), (refused.Status, refused.Refusal));
        await old.EndAsync();
        (await calls.NextAsync()).Answer("new ");
        Assert.Equal(["new 1"], await calls.ValuesAsync(patient));
    }

    [Fact]
    public async Task Read_DeadlineOfASentCall_EndsThatCallerAlone()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Task<Reply<string>> hasty = calls.Read(calls.In(100)), patient = calls.Read(calls.In(3000));
        await old.EndAsync();
        HeldCall call = await calls.NextAsync();
        calls.Advance(110);
        Assert.False(hasty.IsCompleted);
        calls.Advance(Grace);
        Assert.Equal(ReplyStatus.DeadlineExceeded, (await calls.FinishAsync(hasty)).Status);
        Assert.False(call.Token.IsCancellationRequested);
        call.Answer("new ");
        Assert.Equal(["new 1"], await calls.ValuesAsync(patient));
    }

    [Fact]
    public async Task Read_SiloRefusesAtTheDeadline_ItsWordIsHeard()
    {
        using var calls = new CallHarness();
        Task<Reply<string>> caller = calls.Read(calls.In(100));
        HeldCall call = await calls.NextAsync();
        calls.Advance(110);
        call.Fail(ReplyStatus.Refused);
        Assert.Equal(ReplyStatus.Refused, (await calls.FinishAsync(caller)).Status);
    }

    [Theory]
    [InlineData(100, 3000, 500)]
    [InlineData(3000, 500, 100)]
    public async Task Read_CallersWithDeadlines_TheCallHasTheLatest(int first, int second, int third)
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        using var leaves = new CancellationTokenSource();
        Task<Reply<string>> leaving = calls.Read(calls.In(9000), token: leaves.Token);
        Task<Reply<string>>[] callers =
            [calls.Read(calls.In(first)), calls.Read(calls.In(second)), calls.Read(calls.In(third))];
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.FinishAsync(leaving));
        await old.EndAsync();
        HeldCall call = await calls.NextAsync();
        Assert.Equal(calls.In(3000), call.Deadline);
        call.Answer("new ");
        await calls.ValuesAsync(callers);
    }

    [Fact]
    public async Task Read_CallerLeaves_TheOthersAreAnswered()
    {
        using var calls = new CallHarness();
        using var leavesBefore = new CancellationTokenSource();
        using var leavesLater = new CancellationTokenSource();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Task<Reply<string>> before = calls.Read(token: leavesBefore.Token), staying = calls.Read(),
            later = calls.Read(token: leavesLater.Token);
        await leavesBefore.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.FinishAsync(before));
        await old.EndAsync();
        HeldCall call = await calls.NextAsync();
        await leavesLater.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.FinishAsync(later));
        Assert.False(call.Token.IsCancellationRequested);
        call.Answer("new ");
        Assert.Equal(["new 1"], await calls.ValuesAsync(staying));
    }

    [Fact]
    public async Task Read_AllLeave_CancelsTheCallAndNobodyJoinsIt()
    {
        using var calls = new CallHarness();
        using var leaves = new CancellationTokenSource();
        Task<Reply<string>>[] leaving = [calls.Read(token: leaves.Token), calls.Read(calls.In(50))];
        HeldCall abandoned = await calls.NextAsync();
        var cut = new TaskCompletionSource<bool>();
        await using CancellationTokenRegistration _ = abandoned.Token.Register(() => cut.SetResult(true));
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.FinishAsync(leaving[0]));

        // Whether this caller shared that call or has its own: with it, the last one has left.
        calls.Advance(60);
        calls.Advance(Grace);
        await calls.FinishAsync(leaving[1]);
        await calls.FinishAsync(cut.Task, "the end of the call");
        Task<Reply<string>> next = calls.Read();
        abandoned.Answer("old ");
        HeldCall call = await calls.NextAsync();
        if (call.Token.IsCancellationRequested) call = await calls.NextAsync();
        call.Answer("new ");
        Assert.Equal(["new 1"], await calls.ValuesAsync(next));
    }

    [Fact]
    public async Task Read_AllLeaveBeforeItIsSent_NoCallIsMadeForThem()
    {
        using var calls = new CallHarness();
        using var leaves = new CancellationTokenSource();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Task<Reply<string>> leaving = calls.Read(token: leaves.Token), late = calls.Read(calls.In(20));
        await leaves.CancelAsync();
        calls.Advance(30);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.FinishAsync(leaving));
        Assert.Equal(RefusalReason.TimedOut, (await calls.FinishAsync(late)).Refusal);
        await old.EndAsync();
        Task<Reply<string>> next = calls.Read();
        (await calls.NextAsync()).Answer("new ");
        Assert.Equal(["new 1"], await calls.ValuesAsync(next));
        Assert.Equal(3, calls.Count);
    }

    [Fact]
    public async Task Read_FailedReply_ReachesAllWhoSharedIt()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Task<Reply<string>>[] callers = [calls.Read(), calls.Read(), calls.Read()];
        await old.EndAsync();
        (await calls.NextAsync()).Fail();
        foreach (Task<Reply<string>> caller in callers)
            Assert.Equal(ReplyStatus.Failed, (await calls.FinishAsync(caller)).Status);
        Assert.Equal(3, calls.Count);
    }

    [Fact]
    public async Task Read_CallThrows_FailsForAllWhoSharedItWithoutItsText()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Task<Reply<string>>[] callers = [calls.Read(), calls.Read()];
        await old.EndAsync();
        (await calls.NextAsync()).Ending.SetException(new InvalidOperationException("secret"));
        foreach (Task<Reply<string>> caller in callers)
        {
            Reply<string> reply = await calls.FinishAsync(caller);
            Assert.Equal(ReplyStatus.Failed, reply.Status);
            Assert.Null(reply.Detail);
        }
    }

    [Fact]
    public async Task Read_DeadlineHasPassed_IsRefusedWithoutACall()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        Deadline deadline = calls.In(1);
        calls.Advance(2);

        // At once: the clock does not move, and neither does the wheel that completes waiting callers.
        foreach (Task<Reply<string>> caller in new[] { calls.Read(deadline), calls.LookUp(1, deadline) })
            Assert.Equal(RefusalReason.TimedOut, (await calls.FinishAsync(caller)).Refusal);
        Assert.Equal(2, calls.Count);
        await old.EndAsync();
    }

    [Fact]
    public async Task Read_CancelledAlready_ThrowsWithoutACall()
    {
        using var calls = new CallHarness();
        var gone = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.Read(token: gone));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => calls.LookUp(1, token: gone));
        Assert.Equal(0, calls.Count);
    }

    [Fact]
    public async Task Read_SharingSwitchedOff_EachCallerCalls()
    {
        using var calls = new CallHarness(isShared: false);
        Task<Reply<string>>[] callers = [calls.Read(), calls.Read(), calls.LookUp(2), calls.LookUp(2)];
        for (int i = 0; i < callers.Length; i++)
        {
            HeldCall call = await calls.NextAsync();
            Assert.Single(call.Keys);
            call.Answer("");
        }

        Assert.Equal(["1", "1", "2", "2"], await calls.ValuesAsync(callers));
    }

    [Fact]
    public async Task Read_ProcessEndsWhileCallsAreUnderWay_NobodyIsForgotten()
    {
        using var calls = new CallHarness();
        UnderWay old = await calls.FillAsync(() => calls.Read(calls.In(1000)));
        Task<Reply<string>> waiting = calls.Read(calls.In(1500)), answered = calls.Read();
        calls.Stop();
        old.Calls[0].Answer("old ");
        Assert.Equal(["old 1"], await calls.ValuesAsync(old.Callers[0]));

        // Without the wheel, the calls' own limits end those without a reply.
        calls.Advance(1100);
        Assert.Equal(ReplyStatus.DeadlineExceeded, (await calls.FinishAsync(old.Callers[1])).Status);
        (await calls.NextAsync()).Answer("new ");
        Assert.Equal(["new 1", "new 1"], await calls.ValuesAsync(waiting, answered));
    }

    [Fact]
    public async Task Read_ManyAndLookUps_AreCountedByCallAndByCaller()
    {
        using var calls = new CallHarness();
        var counted = new ConcurrentQueue<(string Instrument, string? Query, long Value)>();
        using var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == PooledDataSource.MeterName) listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            foreach (KeyValuePair<string, object?> tag in tags)
            {
                if (tag.Value is string query && query.EndsWith($"{calls.Id}", StringComparison.Ordinal))
                    counted.Enqueue((instrument.Name, query.Split(' ')[0], value));
            }
        });
        listener.Start();
        UnderWay old = await calls.FillAsync(() => calls.Read());
        using var leaves = new CancellationTokenSource();
        Task<Reply<string>> leaving = calls.Read(token: leaves.Token);
        Task<Reply<string>>[] callers = [calls.Read(), calls.Read(), calls.Read()];
        await leaves.CancelAsync();
        await old.EndAsync();
        (await calls.NextAsync()).Answer("new ");
        await calls.ValuesAsync(callers);
        Task<Reply<string>> lookUp = calls.LookUp(7);
        (await calls.NextAsync()).Answer("");
        await calls.ValuesAsync(lookUp);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);

        // Three calls and their five callers, without the one that left; one look-up of one key.
        Assert.Equal((3, 5), (Sum("upool.call.askings", "read"), Sum("upool.call.callers", "read")));
        Assert.Equal((1, 1), (Sum("upool.call.askings", "look-up"), Sum("upool.call.callers", "look-up")));

        long Sum(string instrument, string query) =>
            counted.Where(one => one.Instrument == instrument && one.Query == query).Sum(static one => one.Value);
    }
}
