using System.Globalization;

namespace UPool.Cluster.Tests.Workers;

/// <summary>
/// Look-ups that share calls: callers, a writer, calls that succeed or fail at any time, callers that leave, and
/// deadlines, in random order (INV-10).
/// </summary>
public sealed class SharedCallModelTests
{
    private const int Lives = 150;
    private const int Acts = 120;
    private const int Keys = 5;

    [Fact]
    public async Task LookUp_AnythingInAnyOrder_EachIsAnsweredOnceWithNothingOlderThanHisArrival()
    {
        uint seed = Seed.Next();
        for (int life = 0; life < Lives * Seed.Factor; life++)
        {
            try
            {
                using var calls = new CallHarness();
                await new Life(calls, new Random(unchecked((int)seed + life))).RunAsync();
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"{Seed.Variable}={seed}, life {life}", exception);
            }
        }
    }

    private sealed class Life
    {
        private readonly CallHarness _calls;
        private readonly Random _random;
        private readonly List<HeldCall> _held = [];
        private readonly List<Caller> _callers = [];
        private long _version;

        public Life(CallHarness calls, Random random)
        {
            _calls = calls;
            _random = random;
            calls.State = () => Interlocked.Read(ref _version);
        }

        public async Task RunAsync()
        {
            for (int act = 0; act < Acts; act++)
            {
                await DoAsync();
                await CollectAsync();
                Assert.InRange(_held.Count, 0, 2);
            }

            // Every caller that still waits gets a reply.
            long startedAt = TimeProvider.System.GetTimestamp();
            while (_callers.Count > 0)
            {
                foreach (HeldCall call in _held) Answer(call);
                _held.Clear();
                _calls.Advance(5);
                await CollectAsync();
                if (TimeProvider.System.GetElapsedTime(startedAt) > CallHarness.Patience)
                    Assert.Fail($"{_callers.Count} callers were forgotten, {_held.Count} calls are under way");
            }
        }

        private async Task DoAsync()
        {
            switch (_random.Next(10))
            {
                case < 4:
                    Arrive();
                    break;
                case 4:
                    Interlocked.Increment(ref _version);
                    break;
                case < 7 when _held.Count > 0:
                    HeldCall call = _held[_random.Next(_held.Count)];
                    _held.Remove(call);
                    End(call);
                    break;
                case 7 when _callers.Count > 0:
                    await _callers[_random.Next(_callers.Count)].Leaves.CancelAsync();
                    break;
                case 8:
                    _calls.Advance(_random.Next(60));
                    break;
            }
        }

        private void Arrive()
        {
            var leaves = new CancellationTokenSource();
            int key = _random.Next(Keys) - 1;
            Deadline deadline = _random.Next(3) == 0 ? _calls.In(1 + _random.Next(100)) : _calls.In(50_000);
            long version = Interlocked.Read(ref _version);
            _callers.Add(new Caller(key, version, deadline, _calls.LookUp(key, deadline, leaves.Token), leaves));
        }

        private void End(HeldCall call)
        {
            switch (_random.Next(10))
            {
                case 0:
                    call.Fail();
                    break;
                case 1:
                    call.Ending.SetException(new InvalidOperationException("failed"));
                    break;
                case 2:
                    call.Ending.SetResult(Reply.Refused<string?[]>(RefusalReason.QueueFull));
                    break;
                default:
                    Answer(call);
                    break;
            }
        }

        private static void Answer(HeldCall call) => call.Answer($"{call.Seen} ");

        private async Task CollectAsync()
        {
            for (int i = 0; i < 5; i++) await Task.Yield();
            while (_calls.TryNext(out HeldCall? call)) _held.Add(call);

            // Calls whose callers have all left, or whose deadline has passed, are over: their places are free.
            _held.RemoveAll(call => call.Token.IsCancellationRequested || call.Deadline.HasPassed(_calls.Clock));
            foreach (Caller caller in _callers.Where(static caller => caller.Answer.IsCompleted).ToList())
            {
                _callers.Remove(caller);
                await CheckAsync(caller);
            }
        }

        private async Task CheckAsync(Caller caller)
        {
            try
            {
                Reply<string> reply = await caller.Answer;
                switch (reply.Status)
                {
                    case ReplyStatus.Ok:
                        int[] seen = [.. reply.Value!.Split(' ').Select(
                            static text => int.Parse(text, CultureInfo.InvariantCulture))];
                        Assert.Equal(caller.Key, seen[1]);
                        Assert.True(
                            seen[0] >= caller.Version,
                            $"a reply of version {seen[0]} to a caller that came at {caller.Version} (INV-10)");
                        break;
                    case ReplyStatus.NotFound:
                        Assert.Equal(-1, caller.Key);
                        break;
                    case ReplyStatus.DeadlineExceeded:
                    case ReplyStatus.Refused when reply.Refusal == RefusalReason.TimedOut:
                        Assert.True(caller.Deadline.HasPassed(_calls.Clock), "a caller timed out before its deadline");
                        break;
                    default:
                        Assert.True(
                            reply.Status is ReplyStatus.Failed || reply.Refusal == RefusalReason.QueueFull,
                            $"{reply.Status} {reply.Refusal}");
                        break;
                }
            }
            catch (OperationCanceledException)
            {
                Assert.True(caller.Leaves.IsCancellationRequested, "another caller's cancellation ended this caller");
            }
        }

        private sealed record Caller(
            int Key, long Version, Deadline Deadline, Task<Reply<string>> Answer, CancellationTokenSource Leaves);
    }
}
