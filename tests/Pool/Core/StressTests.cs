using System.Data;
using System.Data.Common;
using System.Diagnostics;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Many threads in real time against a server that answers late, fails, hangs and loses sessions.</summary>
public sealed class StressTests
{
    private const int Workers = 12;
    private static readonly TimeSpan Time = TimeSpan.FromSeconds(2);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pool_ManyThreadsAndFaults_LosesAndSharesNothing(bool needsLease)
    {
        uint seed = Seed.Next();
        using var stop = new CancellationTokenSource(Time * Seed.Factor);
        await using var run = new Run(seed, needsLease, stop.Token);
        try
        {
            await run.RunAsync();
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"{Seed.Variable}={seed}: {run.Describe()}", exception);
        }
    }

    private sealed class Run : IAsyncDisposable
    {
        private static readonly FixedSelect Select = new("SELECT 1");

        private readonly CancellationToken _stop;
        private readonly uint _seed;
        // One result, as for every SELECT: the driver sees its end with the last row.
        private readonly FakeConnector _server = new() { Results = 0 };
        private readonly RecordingLogger _log = new();
        private readonly PooledDataSource _source;
        private volatile bool _isCalm;
        private int _ceiling = 6;
        private long _calls;
        private long _served, _refused, _severed, _failed;

        public Run(uint seed, bool needsLease, CancellationToken stop)
        {
            _seed = seed;
            _stop = stop;
            var options = new PoolOptions
            {
                Name = "stress",
                MaxConnections = 6,
                MaxPending = 100,
                RentTimeout = TimeSpan.FromMilliseconds(100),
                OpenTimeout = TimeSpan.FromMilliseconds(100),
                RecoveryTimeout = TimeSpan.FromMilliseconds(50),
                ValidationInterval = TimeSpan.FromMilliseconds(1),
                MaxOpenRetryInterval = TimeSpan.FromMilliseconds(50),
                MaxLifetime = TimeSpan.FromSeconds(1),
            };
            _source = new PooledDataSource(options, _server, TimeProvider.System, _log, needsLease);
            Grant(6, 100);
            _server.Opening = () => Check(_server.Sessions);
            _server.Behaviour = Answer;
        }

        public string Describe() =>
            $"{_source.Snapshot()}; sessions {_server.Sessions}; served {_served}, refused {_refused}, "
            + $"severed {_severed}, failed {_failed}; problem {_source.Health.Problem}";

        public async Task RunAsync()
        {
            Task[] all =
            [
                .. Enumerable.Range(0, Workers).Select(i => Task.Run(() => WorkAsync(new Random((int)(_seed + i))))),
                Task.Run(() => ManageAsync(new Random((int)_seed ^ 99))),
            ];
            await Task.WhenAll(all).WaitAsync(Time * Seed.Factor + PoolHarness.Patience);

            _isCalm = true;
            Volatile.Write(ref _ceiling, 6);
            _source.MaxConnections = 6;
            Grant(6, TimeSpan.FromHours(1).TotalMilliseconds);
            await UntilAsync(
                "rest", s => s is { Used: 0, Opening: 0, Closing: 0, Pending: 0 } && _source.Health.IsHealthy);
            Assert.Empty(_server.Violations);
            Assert.Empty(_log.Of(1099));
            TestContext.Current.TestOutputHelper?.WriteLine(Describe());
            Assert.True(_served > 100 && _severed > 0 && _failed > 0, "nothing was stressed");

            RentResult[] rents = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _source.RentAsync().AsTask()));
            PooledConnection[] held = [.. rents.Select(result => result.GetConnectionOrThrow())];
            Assert.Equal(6, _source.Snapshot().Used);
            foreach (PooledConnection connection in held)
            {
                await connection.CreateCommand().ExecuteNonQueryAsync(CancellationToken.None);
                await connection.DisposeAsync();
            }

            Assert.True(await _source.DrainAsync(TimeSpan.FromSeconds(5)), "the drain");
            Assert.Equal(0, _server.Sessions);
            Assert.Equal(0, _source.Pool.Wheel.Count);
            Assert.Empty(_server.Violations);
        }

        public async ValueTask DisposeAsync()
        {
            await _source.DisposeAsync();
            await _server.DisposeAsync();
            _log.Dispose();
        }

        private async Task WorkAsync(Random random)
        {
            while (!_stop.IsCancellationRequested)
            {
                using var leaves = new CancellationTokenSource();
                if (random.Next(4) == 0) leaves.CancelAfter(random.Next(1, 20));
                Deadline deadline = random.Next(3) == 0
                    ? Deadline.After(TimeSpan.FromMilliseconds(random.Next(40)))
                    : default;
                try
                {
                    RentResult rented = random.Next(2) == 0
                        ? await _source.RentAsync(deadline, leaves.Token)
                        : await _source.RentAsync(Select, deadline, leaves.Token);
                    if (rented.IsRented)
                    {
                        await UseAsync(rented.Connection, random, leaves.Token);
                        continue;
                    }

                    // Refused without waiting: an immediate retry would only take processor time from the pool.
                    Interlocked.Increment(ref _refused);
                    await Task.Delay(1, CancellationToken.None);
                }
                catch (OperationCanceledException)
                {
                    Interlocked.Increment(ref _severed);
                }
                catch (DeadlineExceededException)
                {
                    Interlocked.Increment(ref _severed);
                }
                catch (Exception exception) when (exception is DbException or InvalidOperationException)
                {
                    Assert.DoesNotContain("bug:", exception.Message, StringComparison.Ordinal);
                    Interlocked.Increment(ref _failed);
                }
            }
        }

        private async Task UseAsync(PooledConnection connection, Random random, CancellationToken token)
        {
            var physical = (FakePhysicalConnection)connection.Physical;
            object me = new();
            if (physical.Owner is PooledConnection { State: ConnectionState.Open })
                _server.Violate($"connection {physical.Fake.Id} has two owners (INV-3)");
            physical.Owner = connection;
            if (physical.Select is null ? physical.Fake.IsDirty : physical.Fake.IsSpoiled)
                _server.Violate($"connection {physical.Fake.Id} was rented dirty (INV-5)");
            await using (connection)
            {
                for (int i = random.Next(4); i > 0; i--)
                {
                    await using DbCommand command = connection.CreateCommand();
                    if (random.Next(8) == 0) _ = CancelSoonAsync(command, random.Next(3));
                    switch (random.Next(physical.Select is null ? 4 : 12))
                    {
                        case 0:
                            await using (DbDataReader reader = await command.ExecuteReaderAsync(token))
                                for (int row = random.Next(3); row > 0; row--) await reader.ReadAsync(token);
                            break;
                        case 1:
                            await using (DbTransaction transaction = await connection.BeginTransactionAsync(token))
                            {
                                await command.ExecuteNonQueryAsync(token);
                                if (random.Next(2) == 0) await transaction.CommitAsync(token);
                            }

                            break;
                        case 2 or 3:
                            await command.ExecuteNonQueryAsync(token);
                            break;

                        default:
                            command.CommandText = Select.Text;
                            await using (DbDataReader reader = await command.ExecuteReaderAsync(token))
                                while (await reader.ReadAsync(token)) Assert.NotEqual(0, reader.GetInt32(0));
                            break;
                    }

                    if (connection.State != ConnectionState.Open) break;
                    if (!ReferenceEquals(physical.Owner, connection))
                        _server.Violate($"connection {physical.Fake.Id} was given to another (INV-3)");
                    if (random.Next(3) == 0) await Task.Yield();
                }

                Interlocked.Increment(ref _served);
            }
        }

        private static async Task CancelSoonAsync(DbCommand command, int yields)
        {
            for (int i = 0; i < yields; i++) await Task.Yield();
            command.Cancel();
        }

        // Resizes, clears, loses sessions, and continuously checks the counts.
        private async Task ManageAsync(Random random)
        {
            while (!_stop.IsCancellationRequested)
            {
                // Mostly renewed in time; sometimes the lease ends, and sometimes its grace too.
                if (random.Next(20) == 0) Grant(random.Next(7), random.Next(4) == 0 ? random.Next(100) : 1_000);
                switch (random.Next(40))
                {
                    case 0:
                        int permits = random.Next(7);
                        _source.MaxConnections = permits;
                        Volatile.Write(ref _ceiling, Math.Max(permits, Sessions(_source.Pool.Counts)));
                        break;
                    case 1: _source.Clear(); break;
                    case 2 when _server.Connections.Count > 0: _server.Connections[^1].Die(); break;
                    case 3 when random.Next(4) == 0:
                        _ = _source.ChangeConnectionStringAsync($"{random.Next()}", CancellationToken.None);
                        break;
                }

                int ceiling = Volatile.Read(ref _ceiling);
                PoolCounts counts = _source.Pool.Counts;
                if (Sessions(counts) > ceiling)
                    _server.Violate($"more sessions than permits (INV-1): {counts}, ceiling {ceiling}");
                await Task.Delay(1, CancellationToken.None);
            }
        }

        private void Check(int sessions)
        {
            // Read before and after: a shrink between the two is not this open's error.
            int before = Volatile.Read(ref _ceiling);
            if (sessions > Math.Max(before, Volatile.Read(ref _ceiling)) && sessions > 6)
                _server.Violate($"more sessions than permits ever were (INV-1): {sessions}");
        }

        private void Answer(FakeCall call)
        {
            int dice = _isCalm ? 0 : new Random((int)(_seed + Interlocked.Increment(ref _calls))).Next(1000);
            if (dice < 600) call.Succeed();
            else if (dice < 800) ThreadPool.UnsafeQueueUserWorkItem(static held => held.Succeed(), call, false);
            else if (dice < 970 || call.Step is Step.Close) _ = AnswerLaterAsync(call, dice % 4);
            else if (dice < 990) call.Fail(new FakeDbException((DriverFailure)(1 + dice % 4), "random"));
            else _ = AnswerLaterAsync(call, 150);
        }

        private void Grant(int permits, double milliseconds)
        {
            if (!_source.NeedsLease) return;

            long endsAt = Stopwatch.GetTimestamp() + (long)(milliseconds / 1000 * Stopwatch.Frequency);
            _source.Lease = new PoolLease(permits, 1, endsAt, endsAt + Stopwatch.Frequency / 20);
        }

        private static int Sessions(PoolCounts counts) =>
            counts.Used + counts.Idle + counts.Opening + counts.Closing;

        private static async Task AnswerLaterAsync(FakeCall call, int milliseconds)
        {
            await Task.Delay(milliseconds);
            call.Succeed();
        }

        private async Task UntilAsync(string what, Func<PoolSnapshot, bool> reached)
        {
            long startedAt = TimeProvider.System.GetTimestamp();
            while (!reached(_source.Snapshot()))
            {
                if (TimeProvider.System.GetElapsedTime(startedAt) > PoolHarness.Patience)
                    Assert.Fail($"Waited past the barrier for {what}: {Describe()}");
                await Task.Delay(1, CancellationToken.None);
            }
        }
    }
}
