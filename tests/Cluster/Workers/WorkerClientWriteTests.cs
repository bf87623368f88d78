using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

public sealed class WorkerClientWriteTests
{
    [Fact]
    public async Task WriteAsync_SiloIsLostOnTheWay_OutcomeIsUnknownAndItIsNotSentAgain()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(2);
        cluster.Board.OnAsk = static (_, _, _, _) => throw new SiloUnavailableException("lost");

        Reply<string> reply = await cluster.WriteRawAsync(In(5));

        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.Equal(1, cluster.Board.Asked);
    }

    [Fact]
    public async Task WriteAsync_NobodyAnswers_OutcomeIsUnknownAtTheDeadline()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(
            1, static options => options.HedgeAfter = TimeSpan.FromMilliseconds(50));
        cluster.Board.OnAsk = static (_, _, _, token) => Board.HangAsync(token);
        var watch = Stopwatch.StartNew();

        Reply<string> reply = await cluster.WriteRawAsync(In(1));

        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.InRange(watch.Elapsed.TotalSeconds, 1, 2);
        Assert.Equal(1, cluster.Board.Asked);
    }

    [Fact]
    public async Task WriteAsync_NoSiloIsLeft_IsUnavailableBecauseItWasNeverSent()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        Assert.Equal(ReplyStatus.Ok, (await cluster.WriteAsync(In(5))).Status);
        await cluster.Silos.StopSiloAsync(cluster.Silos.Silos[0]);
        int asked = cluster.Board.Asked;

        Reply<string> reply = await cluster.WriteAsync(In(5));

        Assert.Equal(ReplyStatus.Unavailable, reply.Status);
        Assert.Equal(asked, cluster.Board.Asked);
    }

    [Fact]
    public async Task WriteAsync_GrainThrows_OutcomeIsUnknown()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        cluster.Board.OnAsk = static (_, _, _, _) => throw new InvalidOperationException("secret");

        Reply<string> reply = await cluster.WriteRawAsync(In(5));

        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.DoesNotContain("secret", reply.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WriteAsync_CallerLeavesAfterItWasSent_OutcomeIsUnknownAndTheGrainIsStopped()
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

            Reply<string> reply = await cluster.WriteAsync(In(60), leaving.Token);

            Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
            await stopped.Task.WaitAsync(ProbeCluster.Bound);
        }
    }

    [Fact]
    public async Task WriteAsync_DeadlineHasPassed_IsRefusedWithoutBeingSent()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);

        Reply<string> reply = await cluster.WriteAsync(In(0));

        Assert.Equal(RefusalReason.TimedOut, reply.Refusal);
        Assert.Equal(0, cluster.Board.Asked);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WriteAsync_AnotherWriteIsDoneBeforeIt_LeavesTheTicketAlone(bool isInsideTheSilo)
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        IServiceProvider caller = isInsideTheSilo ? cluster.Silos.GetSiloServiceProvider() : cluster.Services;

        Reply<string> reply = await caller.GetRequiredService<WorkerClient<IProbeGrain>>().WriteAsync<string>(
            static (grain, due, token) => grain.WriteAfterAnother(due, token), In(5), CancellationToken.None);

        Assert.Equal(ReplyStatus.Ok, reply.Status);
        Assert.Equal(2, cluster.Board.Asked);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WriteAsync_MessageArrivesASecondTime_IsNotRun(bool isSpread)
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        Resend();
        var grain = cluster.Services.GetRequiredService<IGrainFactory>().GetGrain<IProbeGrain>(0);
        Reply<string> reply = await (isSpread
            ? grain.Write(In(5), CancellationToken.None)
            : grain.WriteUnspread(In(5), CancellationToken.None));

        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.Equal(0, cluster.Board.Asked);
    }

    public static TheoryData<WriteShape, bool> ShapesAndPlaces() => new(
        from shape in Enum.GetValues<WriteShape>()
        from isInsideTheSilo in (bool[])[true, false]
        select (shape, isInsideTheSilo));

    [Theory]
    [MemberData(nameof(ShapesAndPlaces))]
    public async Task WriteAsync_CallWritesTwice_BothAreRun(WriteShape shape, bool isInsideTheSilo)
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        IServiceProvider caller = isInsideTheSilo ? cluster.Silos.GetSiloServiceProvider() : cluster.Services;

        Reply<string> reply = await caller.GetRequiredService<WorkerClient<IProbeGrain>>().WriteAsync(
            (grain, due, token) => grain.WriteSeveral(shape, due, token), In(10), CancellationToken.None);

        Assert.Equal((ReplyStatus.Ok, ExpectedAsks(shape)), (reply.Status, cluster.Board.Asked));
    }

    [Theory]
    [InlineData(WriteShape.Helpers)]
    [InlineData(WriteShape.HelperOfTheBase)]
    [InlineData(WriteShape.Parallel)]
    [InlineData(WriteShape.OffTheScheduler)]
    [InlineData(WriteShape.OnTheThreadPool)]
    [InlineData(WriteShape.InsideARead)]
    [InlineData(WriteShape.Transactions)]
    public async Task WriteAsync_MessageOfTwoWritesArrivesASecondTime_NoneIsRun(WriteShape shape)
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        Resend();

        var grain = cluster.Services.GetRequiredService<IGrainFactory>().GetGrain<IProbeGrain>(0);
        Reply<string> reply = await grain.WriteSeveral(shape, In(10), CancellationToken.None);

        Assert.Equal((ReplyStatus.OutcomeUnknown, 0), (reply.Status, cluster.Board.Asked));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WriteAsync_CallerMakesTwoCallsOfTheGrain_BothAreRun(bool isInsideTheSilo)
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        IServiceProvider caller = isInsideTheSilo ? cluster.Silos.GetSiloServiceProvider() : cluster.Services;

        Reply<string> reply = await caller.GetRequiredService<WorkerClient<IProbeGrain>>().WriteAsync(
            static async (grain, due, token) =>
            {
                Reply<string> first = await grain.Write(due, token);
                return first.Status == ReplyStatus.Ok ? await grain.Write(due, token) : first;
            },
            In(10), CancellationToken.None);

        Assert.Equal((ReplyStatus.Ok, 2), (reply.Status, cluster.Board.Asked));
    }

    // The other grain calls the board once more.
    private static int ExpectedAsks(WriteShape shape) => shape == WriteShape.AroundACallOfAnotherGrain ? 3 : 2;

    // A resend by Orleans, as its receiver sees it; RoundTripTests shows how a ticket becomes that.
    private static void Resend() => RequestContext.Set(
        WriteTicket.ContextKey,
        new WriteTicketConverter().ConvertFromSurrogate(new WriteTicketSurrogate { IsValid = false }));

    private static Deadline In(int seconds) => Deadline.After(TimeSpan.FromSeconds(seconds));
}
