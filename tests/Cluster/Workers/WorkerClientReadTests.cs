using System.Diagnostics;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

public sealed class WorkerClientReadTests
{
    private static readonly TimeSpan HedgeAfter = TimeSpan.FromMilliseconds(100);

    [Fact]
    public async Task ReadAsync_FirstAskingHangs_IsAskedAgainAndTheLoserIsCancelled()
    {
        // Two attempts at most: on a busy machine a third would be due before the second has replied.
        await using ProbeCluster cluster = await StartAsync(static options => options.MaxAskings = 2);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        cluster.Board.OnAsk = async (asking, _, _, token) =>
        {
            if (asking > 1) return Reply.Ok("second");

            token.Register(() => cancelled.TrySetResult());
            return await Board.HangAsync(token);
        };

        Reply<string> reply = await cluster.AskAsync(In(20));

        Assert.Equal("second", reply.Value);
        Assert.Equal(2, cluster.Board.Asked);
        await cancelled.Task.WaitAsync(ProbeCluster.Bound);
    }

    [Fact]
    public async Task ReadAsync_SlowFirstAsking_StillMayAnswerWhileTheHedgeRuns()
    {
        await using ProbeCluster cluster = await StartAsync();
        var hedged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        cluster.Board.OnAsk = async (asking, _, _, token) =>
        {
            if (asking > 1)
            {
                hedged.TrySetResult();
                return await Board.HangAsync(token);
            }

            await hedged.Task;
            return Reply.Ok("first");
        };

        Reply<string> reply = await cluster.AskAsync(In(20));

        Assert.Equal("first", reply.Value);
    }

    [Fact]
    public async Task ReadAsync_NobodyAnswers_EndsAtItsDeadlineAfterThreeAskings()
    {
        await using ProbeCluster cluster = await StartAsync();
        cluster.Board.OnAsk = static (_, _, _, token) => Board.HangAsync(token);
        var watch = Stopwatch.StartNew();

        Reply<string> reply = await cluster.AskAsync(In(2));

        Assert.Equal(ReplyStatus.DeadlineExceeded, reply.Status);
        Assert.InRange(watch.Elapsed.TotalSeconds, 2, 3);
        Assert.Equal(3, cluster.Board.Asked);
    }

    [Fact]
    public async Task ReadAsync_NobodyAnswersManyReads_NoneIsAskedMoreOftenThanAllowed()
    {
        await using ProbeCluster cluster = await StartAsync();
        int[] askings = new int[40];

        // At the end of a read its timer may fire a fraction of a millisecond early; that must start no further
        // attempt.
        await Task.WhenAll(Enumerable.Range(0, askings.Length).Select(read => cluster.Client.ReadAsync(
            (_, _, _) =>
            {
                Interlocked.Increment(ref askings[read]);
                return new TaskCompletionSource<Reply<string>>().Task;
            },
            Deadline.After(TimeSpan.FromSeconds(0.35)),
            TestContext.Current.CancellationToken)));

        Assert.All(askings, asked => Assert.InRange(asked, 1, 3));
    }

    [Fact]
    public async Task ReadAsync_SiloIsLost_IsAskedAgain()
    {
        await using ProbeCluster cluster = await StartAsync();
        cluster.Board.OnAsk = static (asking, _, _, _) =>
            asking < 3 ? throw new SiloUnavailableException("lost") : Task.FromResult(Reply.Ok("third"));

        Reply<string> reply = await cluster.RawAsync(In(20));

        Assert.Equal("third", reply.Value);
        Assert.Equal(3, cluster.Board.Asked);
    }

    [Fact]
    public async Task ReadAsync_EverySiloIsLost_RetriesAreBoundedAndEndUnavailable()
    {
        await using ProbeCluster cluster = await StartAsync(static options => options.MaxRetries = 4);
        cluster.Board.OnAsk = static (_, _, _, _) => throw new SiloUnavailableException("lost");

        Reply<string> reply = await cluster.RawAsync(In(20));

        Assert.Equal(ReplyStatus.Unavailable, reply.Status);
        Assert.Equal(RefusalReason.Unavailable, reply.Refusal);
        Assert.Equal(5, cluster.Board.Asked);
    }

    [Fact]
    public async Task ReadAsync_DrainingSilo_IsAskedElsewhere()
    {
        await using ProbeCluster cluster = await StartAsync();
        cluster.Board.OnAsk = static (asking, _, _, _) => Task.FromResult(
            asking == 1 ? Reply.Refused<string>(RefusalReason.Draining) : Reply.Ok("elsewhere"));

        Reply<string> reply = await cluster.AskAsync(In(20));

        Assert.Equal("elsewhere", reply.Value);
    }

    [Fact]
    public async Task ReadAsync_RefusedByOverload_IsNotAskedAgain()
    {
        await using ProbeCluster cluster = await StartAsync(WithoutHedges);
        cluster.Board.OnAsk = static (_, _, _, _) => Task.FromResult(Reply.Refused<string>(RefusalReason.QueueFull));

        Reply<string> reply = await cluster.AskAsync(In(20));

        Assert.Equal(RefusalReason.QueueFull, reply.Refusal);
        Assert.Equal(1, cluster.Board.Asked);
    }

    [Fact]
    public async Task ReadAsync_GrainThrows_FailsOnceWithoutItsText()
    {
        await using ProbeCluster cluster = await StartAsync(WithoutHedges);
        cluster.Board.OnAsk = static (_, _, _, _) => throw new InvalidOperationException("secret");

        Reply<string> reply = await cluster.RawAsync(In(20));

        Assert.Equal(ReplyStatus.Failed, reply.Status);
        Assert.Null(reply.Detail);
        Assert.Equal(1, cluster.Board.Asked);
    }

    [Fact]
    public async Task ReadAsync_CallerLeaves_ThrowsAndStopsTheGrainInWhicheverSiloItRuns()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(3);
        for (int round = 0; round < 3; round++)
        {
            using var leaving = new CancellationTokenSource();
            var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            cluster.Board.OnAsk = async (_, _, _, token) =>
            {
                token.Register(() => stopped.TrySetResult());
                await leaving.CancelAsync();
                return await Board.HangAsync(token);
            };

            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cluster.AskAsync(In(60), leaving.Token));
            await stopped.Task.WaitAsync(ProbeCluster.Bound);
        }
    }

    [Fact]
    public async Task ReadAsync_DeadlineHasPassed_IsRefusedWithoutBeingSent()
    {
        await using ProbeCluster cluster = await StartAsync();

        Reply<string> reply = await cluster.AskAsync(In(0));

        Assert.Equal(ReplyStatus.Refused, reply.Status);
        Assert.Equal(RefusalReason.TimedOut, reply.Refusal);
        Assert.Equal(0, cluster.Board.Asked);
    }

    [Fact]
    public async Task ReadAsync_SiloIsKilledUnderLoad_NoReadIsLost()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(3);
        await cluster.AskAsync();
        using var enough = new CancellationTokenSource();
        Task<int>[] readers = [.. Enumerable.Range(0, 8).Select(_ => ReadUntilAsync(cluster, enough.Token))];

        await cluster.Silos.KillSiloAsync(cluster.Silos.Silos[1]);
        int asked = cluster.Board.Asked;
        while (cluster.Board.Asked < asked + 2000) await Task.Yield();
        await enough.CancelAsync();

        Assert.True((await Task.WhenAll(readers)).Sum() >= 2000);
    }

    private static async Task<int> ReadUntilAsync(ProbeCluster cluster, CancellationToken enough)
    {
        int answered = 0;
        for (; !enough.IsCancellationRequested; answered++)
        {
            Reply<string> reply = await cluster.AskAsync(In(10), CancellationToken.None);
            Assert.Equal(ReplyStatus.Ok, reply.Status);
        }

        return answered;
    }

    private static Deadline In(int seconds) => Deadline.After(TimeSpan.FromSeconds(seconds));

    // For tests that count calls: on a busy machine the first call may take longer than the pause before a hedge.
    private static void WithoutHedges(WorkerClientOptions options) => options.HedgeAfter = ProbeCluster.Bound;

    private static Task<ProbeCluster> StartAsync(Action<WorkerClientOptions>? configure = null) =>
        ProbeCluster.StartAsync(2, options =>
        {
            options.HedgeAfter = HedgeAfter;
            configure?.Invoke(options);
        });
}
