using System.Data.Common;
using System.Diagnostics;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>A kill sent just as its statement ends must never hit the next renter (INV-5).</summary>
public sealed class LateKillTests : OnSharedServer
{
    private const int Rounds = 3000;

    [Fact]
    public async Task Cancel_AsTheStatementEnds_NextRenterIsNeverInterrupted()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(10);
        });
        var random = new Random((int)Seed.Next());
        double statement = 0.0005;
        int severed = 0;
        for (int round = 0; round < Rounds; round++)
        {
            using var leaves = new CancellationTokenSource();
            await using (PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow())
            {
                await using DbCommand command = connection.CreateCommand();
                command.CommandText = FormattableString.Invariant($"SELECT SLEEP({statement})");
                Task<object?> running = command.ExecuteScalarAsync(leaves.Token);

                // Spread around the statement's end, where the race occurs.
                await SpinAsync(TimeSpan.FromSeconds(statement * (0.8 + 0.6 * random.NextDouble())));
                leaves.Cancel();
                try
                {
                    await running;
                }
                catch (OperationCanceledException)
                {
                    severed++;
                }
            }

            // SLEEP returns 1 if interrupted, else 0.
            await using PooledConnection next = (await pool.RentAsync()).GetConnectionOrThrow();
            Assert.Equal(0, await ScalarAsync(next, "SELECT SLEEP(0.0005)"));
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"severed {severed} of {Rounds}, opened {pool.Snapshot().Opened}");
        Assert.InRange(severed, Rounds / 20, Rounds);
    }

    [Fact]
    public async Task Cancel_AsTheReaderOpens_ConnectionComesBackClean()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(10);
        });
        var random = new Random(1);
        int severed = 0;
        for (int round = 0; round < 500; round++)
        {
            using var leaves = new CancellationTokenSource();
            await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = $"SELECT seq, REPEAT('x', 100) FROM {Sql.Sequence(2000)}";
            Task<DbDataReader> opening = command.ExecuteReaderAsync(leaves.Token);
            await SpinAsync(TimeSpan.FromMicroseconds(random.Next(400)));
            leaves.Cancel();
            try
            {
                await using DbDataReader reader = await opening;
                while (await reader.ReadAsync(CancellationToken.None)) Assert.NotEqual(0, reader.GetInt64(0));
            }
            catch (OperationCanceledException)
            {
                severed++;
            }
        }

        await UntilAsync(pool, s => s.Idle == 1);
        TestContext.Current.TestOutputHelper?.WriteLine($"severed {severed}, opened {pool.Snapshot().Opened}");
        Assert.InRange(severed, 10, 500);
        Assert.True(pool.Snapshot().Opened == 1, Fixture.Log);
    }

    [Fact]
    public async Task Cancel_AsATransactionBegins_NextRenterCanBeginItsOwn()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(10);
        });
        for (int round = 0; round < 200; round++)
        {
            using var leaves = new CancellationTokenSource();
            await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
            Task begin = connection.BeginTransactionAsync(leaves.Token).AsTask();
            leaves.Cancel();
            try
            {
                await begin;
            }
            catch (OperationCanceledException)
            {
            }
        }

        await UntilAsync(pool, s => s.Idle == 1);
        Assert.Equal(1, pool.Snapshot().Opened);
    }

    private static async Task SpinAsync(TimeSpan time)
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(startedAt) < time) await Task.Yield();
    }
}
