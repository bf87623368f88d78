using System.Globalization;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Sharing;

/// <summary>
/// Callers, a writer, a server that answers at any time, callers that leave, and deadlines, in random order (INV-10).
/// </summary>
public sealed class SharingModelTests
{
    private const int Lives = 150;
    private const int Acts = 120;
    private const int Questions = 3;

    // Far more than the thread pool needs to run the work.
    private const int MostTurns = 1_000_000;

    [Fact]
    public async Task Ask_AnythingInAnyOrder_NoAnswerIsOlderThanItsCallersArrival()
    {
        uint seed = Seed.Next();
        for (int life = 0; life < Lives * Seed.Factor; life++)
        {
            var random = new Random(unchecked((int)seed + life));
            try
            {
                // More connections than read batches of one key may run at once, fewer than those of all keys.
                await PoolHarness.RunAsync(
                    pool => new Life(pool, random).RunAsync(), static o => o.MaxConnections = 4);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"{Seed.Variable}={seed}, life {life}", exception);
            }
        }
    }

    private sealed class Life
    {
        private readonly PoolHarness _pool;
        private readonly Random _random;
        private readonly SharedRead<int, string> _read;
        private readonly AskedServer<int> _server;
        private readonly List<Asked<int>> _asked = [];
        private readonly List<Caller> _callers = [];
        private Task<Asked<int>> _next;
        private long _version;

        public Life(PoolHarness pool, Random random)
        {
            _pool = pool;
            _random = random;
            _server = new AskedServer<int>
            {
                State = () => Volatile.Read(ref _version).ToString(CultureInfo.InvariantCulture),
            };
            _read = new SharedRead<int, string>("test", pool.Source, _server.AskAsync);
            _next = _server.NextAsync();
        }

        public async Task RunAsync()
        {
            for (int act = 0; act < Acts; act++)
            {
                await DoAsync();
                await CollectAsync();
                Assert.All(
                    _asked.GroupBy(static asked => asked.Keys[0]),
                    static underWay => Assert.InRange(underWay.Count(), 1, 2));
            }

            // Every caller that still waits gets an answer, and nothing stays in progress: a read batch whose callers
            // have all left may arrive only now.
            for (int turn = 0; _callers.Count > 0 || _read.QueueCount > 0; turn++)
            {
                if (turn == MostTurns)
                    Assert.Fail($"{_callers.Count} callers, {_read.QueueCount} queues: {_pool.Describe()}");
                foreach (Asked<int> asked in _asked) asked.Answer.TrySetResult(asked.Seen);
                _asked.Clear();
                _pool.Advance(5);
                await CollectAsync();
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
                case < 7 when _asked.Count > 0:
                    Asked<int> asked = _asked[_random.Next(_asked.Count)];
                    _asked.Remove(asked);
                    if (_random.Next(8) == 0)
                        asked.Answer.SetException(new FakeDbException(DriverFailure.Statement, "failed"));
                    else
                        asked.Answer.SetResult(asked.Seen);
                    break;
                case 7 when _callers.Count > 0:
                    await _callers[_random.Next(_callers.Count)].Leaves.CancelAsync();
                    break;
                case 8:
                    _pool.Advance(_random.Next(60));
                    break;
            }
        }

        private void Arrive()
        {
            var leaves = new CancellationTokenSource();
            Deadline deadline = _random.Next(3) == 0 ? _pool.In(_random.Next(100)) : default;
            long version = Volatile.Read(ref _version);
            Task<SharedAnswer<string>> answer =
                _read.AskAsync(_random.Next(Questions), deadline, leaves.Token).AsTask();
            _callers.Add(new Caller(version, deadline, answer, leaves));
        }

        private async Task CollectAsync()
        {
            for (int i = 0; i < 5; i++) await Task.Yield();
            while (_next.IsCompleted)
            {
                _asked.Add(await _next);
                _next = _server.NextAsync();
            }

            // A read batch whose callers have all left is cut off: its place is free although it was never answered.
            _asked.RemoveAll(static asked => asked.Token.IsCancellationRequested && asked.Answer.TrySetCanceled());
            foreach (Caller caller in _callers.Where(static caller => caller.Answer.IsCompleted).ToList())
            {
                _callers.Remove(caller);
                await CheckAsync(caller);
            }
        }

        private static async Task CheckAsync(Caller caller)
        {
            try
            {
                SharedAnswer<string> answer = await caller.Answer;
                if (answer.IsAnswered)
                {
                    long seen = long.Parse(answer.Value!, CultureInfo.InvariantCulture);
                    Assert.True(
                        seen >= caller.Version, $"an answer of {seen} to a caller of {caller.Version} (INV-10)");
                }
            }
            catch (FakeDbException)
            {
            }
            catch (DeadlineExceededException)
            {
                Assert.False(caller.Deadline.IsNone);
            }
            catch (OperationCanceledException)
            {
                Assert.True(caller.Leaves.IsCancellationRequested, "another caller's cancellation ended this caller");
            }
        }

        private sealed record Caller(
            long Version, Deadline Deadline, Task<SharedAnswer<string>> Answer, CancellationTokenSource Leaves);
    }
}
