using UPool.Bench.Runner.Overload;

namespace UPool.Bench.Tests;

/// <summary>Callers that arrive at a fixed rate.</summary>
public sealed class OpenLoopTests
{
    private static readonly TimeSpan Length = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task RunAsync_EveryFourthRefused_CountsBothKinds()
    {
        int calls = 0;

        OpenLoopFigures figures = await OpenLoop.RunAsync(
            () => Task.FromResult(Interlocked.Increment(ref calls) % 4 != 0), perSecond: 2_000, Length);

        Assert.Equal(400, calls);
        Assert.Equal(500, figures.Refused);
        Assert.InRange(figures.Goodput, 1, 1_500);
    }

    [Fact]
    public async Task RunAsync_NobodyIsAnsweredBeforeTheLastHasCome_AllHaveComeAllTheSame()
    {
        const int Callers = 200;
        int calls = 0;
        var allHaveCome = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        OpenLoopFigures figures = await OpenLoop.RunAsync(
            async () =>
            {
                if (Interlocked.Increment(ref calls) == Callers) allHaveCome.SetResult();
                await allHaveCome.Task;
                return true;
            },
            Callers / Length.TotalSeconds, Length);

        Assert.Equal(Callers, calls);
        Assert.True(figures.ServedP99 > figures.ServedP50, $"the first waited longest: {figures}");
    }

    [Fact]
    public async Task RunAsync_WorkFails_Throws() =>
        await Assert.ThrowsAsync<InvalidOperationException>(() => OpenLoop.RunAsync(
            static () => throw new InvalidOperationException("broken"), perSecond: 100, Length));
}
