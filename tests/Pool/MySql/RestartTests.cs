using System.Collections.Concurrent;
using System.Diagnostics;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>The real server is killed and restarted, and its sessions are killed at random, under load.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class RestartTests : IAsyncLifetime
{
    private const int MaxConnections = 10;
    private const int Clients = 64;

    private readonly ConcurrentDictionary<FailureKind, int> _failures = new();
    private readonly CancellationTokenSource _stop = new();
    private DatabaseServer _server = null!;
    private MySqlPoolFixture _fixture = null!;
    private PooledDataSource _pool = null!;
    private long _served;

    public async ValueTask InitializeAsync()
    {
        _server = await DatabaseServer.StartNewAsync();
        _fixture = new MySqlPoolFixture(_server.ConnectionString());
        _pool = _fixture.CreatePool(o => o.MaxConnections = MaxConnections);
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Dispose();
        await _fixture.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Server_KilledAndRestartedUnderLoad_FullCapacityWithinTwoSecondsAndNoSessionTooMany()
    {
        Task load = LoadAsync();
        for (int round = 0; round < 3; round++)
        {
            await ServedAsync(500);
            await _server.KillAsync();
            await UntilAsync(_pool, _ => !_pool.Health.IsHealthy, 5, "a problem in its health");

            // Refused at once while the database is down, with the reason.
            long askedAt = Stopwatch.GetTimestamp();
            RentResult refused = await _pool.RentAsync();
            Assert.True(Stopwatch.GetElapsedTime(askedAt).TotalMilliseconds < 500);
            Assert.False(refused.IsRented);
            Assert.Equal(RefusalReason.Unavailable, refused.Refusal);
            Assert.Contains("cannot be reached", refused.Message, StringComparison.Ordinal);

            await _server.StartAsync();
            long backAt = Stopwatch.GetTimestamp();
            await UntilAsync(_pool, s => s.Idle + s.Used == MaxConnections, 10, "full capacity");
            double recovery = Stopwatch.GetElapsedTime(backAt).TotalMilliseconds;
            await ServedAsync(2000);

            await using MySqlConnection observer = await _fixture.ObserveAsync(_server.RootConnectionString);
            long most = long.Parse((await MySqlPoolTests.StatusAsync(observer, "Max_used_connections"))!);
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"full capacity {recovery:0} ms after the server's return; "
                + $"at most {most - 1} sessions beside the observer; failures so far {string.Join(", ", _failures)}");
            Assert.True(recovery <= 2000, $"full capacity took {recovery:0} ms: {_pool.Snapshot()}");
            Assert.InRange(most - 1, 1, MaxConnections + 2);
        }

        await EndAsync(load);
    }

    [Fact]
    public async Task Sessions_KilledAtRandomUnderLoad_ErrorsAreTypedAndThePoolStaysWhole()
    {
        Task load = LoadAsync();
        await ServedAsync(500);
        await using MySqlConnection observer = await _fixture.ObserveAsync(_server.RootConnectionString);
        await ExecuteAsync(observer, Sql.FlushStatus);
        var random = new Random((int)Seed.Next());
        for (int kill = 0; kill < 200; kill++)
        {
            List<long> ids = [];
            await using (MySqlCommand command = observer.CreateCommand())
            {
                command.CommandText = $"SELECT ID FROM {Sql.ProcessList} WHERE USER = 'upool'";
                await using MySqlDataReader reader = await command.ExecuteReaderAsync();
                while (await reader.ReadAsync()) ids.Add(reader.GetInt64(0));
            }

            if (ids.Count == 0) continue;
            try
            {
                await ExecuteAsync(observer, $"KILL {ids[random.Next(ids.Count)]}");
            }
            catch (MySqlException gone) when (gone.Number == 1094)
            {
            }

            await Task.Delay(random.Next(5));
        }

        await ServedAsync(2000);
        await UntilAsync(_pool, s => s.Idle + s.Used == MaxConnections, 5, "full capacity");
        await EndAsync(load);
        long most = long.Parse((await MySqlPoolTests.StatusAsync(observer, "Max_used_connections"))!);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"at most {most - 1} sessions beside the observer; failures {string.Join(", ", _failures)}");
        Assert.InRange(most - 1, 1, MaxConnections + 2);
    }

    /// <summary>Clients that read continuously; every error must be typed.</summary>
    private Task LoadAsync() => Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                RentResult rent = await _pool.RentAsync(Deadline.After(TimeSpan.FromSeconds(2)));
                if (!rent.IsRented)
                {
                    _failures.AddOrUpdate(
                        rent.Refusal == RefusalReason.Unavailable ? FailureKind.Unavailable : FailureKind.Refused,
                        1, static (_, n) => n + 1);

                    // A refused client retries a little later, as Retry-After requests.
                    await Task.Delay(10);
                    continue;
                }

                await using PooledConnection connection = rent.Connection;
                Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));
                Interlocked.Increment(ref _served);
            }
            catch (Exception error) when (_pool.Classify(error) != FailureKind.Other)
            {
                _failures.AddOrUpdate(_pool.Classify(error), 1, static (_, n) => n + 1);
            }
        }
    })));

    private async Task ServedAsync(long more)
    {
        long target = Interlocked.Read(ref _served) + more;
        await UntilAsync(_pool, _ => Interlocked.Read(ref _served) >= target, 20, $"{more} more served");
    }

    private async Task EndAsync(Task load)
    {
        await _stop.CancelAsync();
        await load;
        await UntilAsync(_pool, s => s is { Used: 0, Pending: 0, Opening: 0, Closing: 0 }, 5, "rest");
    }
}
