using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

using UPool.Core;
using UPool.Sharing;

namespace UPool.Tests.Sharing;

/// <summary>The deadlines of the callers of one read batch: one entry on the wheel for all of them.</summary>
public sealed class ReadBatchQueueTests
{
    private const double Tick = 10;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Theory]
    [InlineData(100, 200, 300)]
    [InlineData(300, 200, 100)]
    [InlineData(200, 300, 100)]
    [InlineData(300, 100, 200)]
    [InlineData(200, 200, 100)]
    public async Task Join_DeadlinesInAnyOrder_EachIsToldAtHisOwnTime(params int[] deadlines)
    {
        foreach (bool isSent in new[] { false, true })
        {
            using var server = new Server();
            Held[] old = await server.FillAsync();
            Waiting[] callers = [.. deadlines.Select(due => server.Join(1, server.In(due)))];
            Waiting patient = server.Join(2);
            Held? asked = isSent ? await server.NextAsync(old) : null;
            double now = 0;
            foreach (int due in deadlines.Distinct().Order())
            {
                server.Advance(due - 1 - now);
                Assert.All(deadlines.Zip(callers), one => Assert.Equal(one.First < due, one.Second.IsTold));
                server.Advance(Tick + 1);
                now = due + Tick;
                foreach ((int deadline, Waiting caller) in deadlines.Zip(callers))
                {
                    Assert.Equal(deadline <= due, caller.IsTold);
                    if (caller.IsTold) Assert.Equal(isSent ? "late" : "TimedOut", await caller.HearAsync());
                }
            }

            Assert.False(patient.IsTold);
            Assert.Equal(0, server.Wheel.Count);
            (asked ?? await server.NextAsync(old)).Answer.SetResult("new");
            Assert.Equal("new", await patient.HearAsync());
        }
    }

    [Theory]
    [InlineData(100, 200)]
    [InlineData(200, 100)]
    public async Task Join_FirstCallerLeaves_TheOthersAreToldAtTheirTimes(int first, int second)
    {
        using var server = new Server();
        using var leaves = new CancellationTokenSource();
        await server.FillAsync();
        Waiting leaving = server.Join(1, server.In(first), leaves.Token);
        Waiting staying = server.Join(1, server.In(second)), last = server.Join(1, server.In(400));
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving.HearAsync());
        server.Advance(second - 1);
        Assert.False(staying.IsTold);
        server.Advance(Tick + 1);
        Assert.True(staying.IsTold);
        server.Advance(400 - second - Tick - 1);
        Assert.False(last.IsTold);
        server.Advance(Tick + 1);
        Assert.Equal(["TimedOut", "TimedOut"], await Task.WhenAll(staying.HearAsync(), last.HearAsync()));
        Assert.Equal(0, server.Wheel.Count);
    }

    [Fact]
    public async Task Join_AnsweredInTime_LeavesNothingOnTheWheel()
    {
        using var server = new Server();
        Held[] old = await server.FillAsync();
        Waiting[] callers =
            [.. Enumerable.Range(0, 20).Select(i => server.Join(i % 3, server.In(100 + 7 * (i % 5))))];

        // The read batch's own timeout, and one deadline for all callers.
        Assert.Equal(2, server.Wheel.Count);
        (await server.NextAsync(old)).Answer.SetResult("new");
        foreach (Waiting caller in callers) Assert.Equal("new", await caller.HearAsync());
        Assert.Equal(0, server.Wheel.Count);
        server.Advance(500);
        Assert.Equal(0, server.Late);
    }

    [Fact]
    public async Task Join_AllLeave_LeavesNothingOnTheWheel()
    {
        using var server = new Server();
        using var leaves = new CancellationTokenSource();
        await server.FillAsync();
        Waiting[] callers =
            [.. Enumerable.Range(0, 5).Select(i => server.Join(i, server.In(100 + i), leaves.Token))];
        await leaves.CancelAsync();
        foreach (Waiting caller in callers)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => caller.HearAsync());
        Assert.Equal(0, server.Wheel.Count);
    }

    [Fact]
    public async Task Join_NoAnswerAmongThem_EachIsToldAndNobodyWaitsForEver()
    {
        using var server = new Server();
        Held[] old = await server.FillAsync();
        Waiting[] callers = [server.Join(-1), server.Join(2), server.Join(-3), server.Join(4)];
        (await server.NextAsync(old)).Answer.SetResult("new");
        string[] heard = await Task.WhenAll(callers.Select(static caller => caller.HearAsync()));
        Assert.Equal(["nothing", "new", "nothing", "new"], heard);
    }

    [Fact]
    public async Task Join_AbandonedBeforeItIsSent_IsNotCounted()
    {
        using var server = new Server();
        using var leaves = new CancellationTokenSource();
        using var held = new ManualResetEventSlim();
        server.Arriving = held;
        Waiting leaving = server.Join(1, token: leaves.Token);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving.HearAsync());
        held.Set();
        Held abandoned = await server.NextAsync();
        Assert.Empty(abandoned.Keys);
        abandoned.Answer.SetResult("");
        Waiting next = server.Join(2);
        (await server.NextAsync()).Answer.SetResult("new");
        Assert.Equal("new", await next.HearAsync());
        Assert.Equal((1, 1), (server.Askings, server.Callers));
    }

    /// <summary>The server's side: each read batch is held until the test answers it. Negative keys have no
    /// row.</summary>
    private sealed class Server : IBatchedRead<int, string>, IDisposable
    {
        private readonly Channel<Held> _arrived = Channel.CreateUnbounded<Held>();
        private readonly ReadBatchQueue<int, string> _queue;
        private int _late, _askings, _callers;

        public Server()
        {
            Wheel = new DeadlineWheel(FakeClock);
            _queue = new ReadBatchQueue<int, string>(this, onIdle: null);
        }

        public DeadlineWheel Wheel { get; }

        public TimeProvider Clock => FakeClock;

        public long GraceTicks { get; init; }

        public int Late => Volatile.Read(ref _late);

        public int Askings => Volatile.Read(ref _askings);

        public int Callers => Volatile.Read(ref _callers);

        /// <summary>If set, read batches wait here before they are closed to new callers.</summary>
        public ManualResetEventSlim? Arriving { get; set; }

        private FakeTimeProvider FakeClock { get; } = new();

        public Waiting Join(int key, Deadline deadline = default, CancellationToken token = default) =>
            new(_queue.JoinAsync(key, deadline, token));

        public Deadline In(double milliseconds) =>
            Deadline.After(TimeSpan.FromMilliseconds(milliseconds), FakeClock);

        public void Advance(double milliseconds) => FakeClock.Advance(TimeSpan.FromMilliseconds(milliseconds));

        /// <summary>Starts two read batches, so that a caller arriving now waits for the third.</summary>
        public async Task<Held[]> FillAsync()
        {
            _ = Join(1001);
            Held one = await NextAsync();
            _ = Join(1002);
            return [one, await NextAsync()];
        }

        /// <summary>Answers the old read batches, then waits for the next one.</summary>
        public Task<Held> NextAsync(params Held[] old)
        {
            foreach (Held asked in old) asked.Answer.SetResult("old");
            return _arrived.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        }

        public async Task AskAsync(ReadBatch<int, string> batch, CancellationToken abandoned)
        {
            Arriving?.Wait(CancellationToken.None);
            BatchAnswers<int, string> answers = batch.Close(out _);
            var held = new Held(answers.Keys);
            _arrived.Writer.TryWrite(held);
            string answer = await held.Answer.Task;
            foreach (int key in answers.Keys.Where(static key => key >= 0)) answers.Add(key, answer);
        }

        public string Refused(RefusalReason reason) => $"{reason}";

        public void FailLate(ReadBatchCaller<int, string> caller)
        {
            Interlocked.Increment(ref _late);
            caller.Complete("late");
        }

        public void CompleteWithoutResult(ReadBatchCaller<int, string> caller) => caller.Complete("nothing");

        public void OnBatchEnded(int callers)
        {
            Interlocked.Increment(ref _askings);
            Interlocked.Add(ref _callers, callers);
        }

        public void Dispose() => Wheel.Dispose();
    }

    /// <summary>A caller that has joined. It is completed at once; a task over it would complete a little
    /// later.</summary>
    private sealed class Waiting(ValueTask<string> answer)
    {
        public bool IsTold => answer.IsCompleted;

        public Task<string> HearAsync() => answer.AsTask().WaitAsync(Patience);
    }

    private sealed record Held(List<int> Keys)
    {
        // Continuations run inline: the answering thread runs the read batch to its end.
        public TaskCompletionSource<string> Answer { get; } = new();
    }
}
