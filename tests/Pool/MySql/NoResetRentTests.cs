using System.Data.Common;
using System.Diagnostics;
using System.Globalization;

using Microsoft.Extensions.Time.Testing;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>No-reset rents on the real server, mixed with ordinary ones (INV-5), and the statements that they
/// save.</summary>
public sealed class NoResetRentTests : OnSharedServer
{
    private const int KillRounds = 3000;

    private static readonly FixedSelect All = new("SELECT `id` FROM `t` WHERE `id` > @after ORDER BY `id`");
    private static readonly FixedSelect Warns = new("SELECT `id` FROM `t` WHERE `v` = @text");
    private static readonly FixedSelect Slow = new("SELECT `id` FROM `long` WHERE `v` = @after");

    [Fact]
    public async Task Return_EverythingDirtiedByTurns_NobodySeesAnythingOfTheOthers()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using MySqlConnection observer = await Fixture.ObserveAsync();
        await ExecuteAsync(observer, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB");
        await ExecuteAsync(observer, "INSERT INTO t (v) VALUES (1), (2), (3), (4), (5)");
        string? asNew;
        await using (DbConnection connection = await pool.OpenConnectionAsync())
            asNew = await DirtySession.FactsAsync(connection);

        for (int round = 0; round < 10; round++)
        {
            // It sees neither the temporary table, nor the other database, nor the limit of three rows. Each round has
            // left one committed and one uncommitted row.
            for (int i = 0; i <= round % 3; i++) Assert.Equal(5 + round, await ReadAsync(pool, All, 0));

            // A no-reset rent that leaves warnings and found rows just before an ordinary one.
            if (round % 2 == 0) Assert.Equal(0, await ReadAsync(pool, Warns, "x"));
            await using (DbConnection connection = await pool.OpenConnectionAsync())
            {
                Assert.Equal(asNew, await DirtySession.FactsAsync(connection));
                await DirtySession.AssertNothingLeftAsync(connection);
                Assert.Equal(5 + round, await ScalarAsync(connection, "SELECT COUNT(*) FROM t"));
                await DirtySession.DirtyAsync(connection, Database.Name);
            }
        }

        Assert.Equal(1, pool.Snapshot().Opened);
    }

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task Return_AllRowsRead_SendsNothingToTheServer()
    {
        const int Rents = 100;
        Counters noReset = await CountAsync(async pool =>
        {
            for (int i = 0; i < Rents; i++) Assert.Equal(3, await ReadAsync(pool, All, 0));
        });

        Assert.Equal(new Counters(Rents, Rents, 0), noReset);
    }

    // On MySQL the driver sends a SET with each reset, and the server counts more questions for it than expected here.
    [Fact]
    [Trait("Needs", "OwnProcesses")]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    public async Task Return_OrdinaryRentOnMariaDb_SendsAResetAndALook()
    {
        const int Rents = 100;
        Counters ordinary = await CountAsync(async pool =>
        {
            for (int i = 0; i < Rents; i++)
            {
                await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
                Assert.Equal(3, await ReadAsync(connection, All, 0));
            }

            await UntilAsync(pool, s => s.Idle == 1);
        });

        // A reset and a look after each rent; and both once more for the first, which finds a session that is not as
        // new.
        Assert.Equal(new Counters((3 * Rents) + 2, (2 * Rents) + 1, 0), ordinary);
    }

    [Fact]
    public async Task Cancel_AsTheSelectEnds_NextRenterOfEitherKindIsNeverInterrupted()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(10);
        });
        await using MySqlConnection observer = await Fixture.ObserveAsync();
        await ExecuteAsync(observer, "CREATE TABLE `long` (id INT PRIMARY KEY, v INT)");
        await ExecuteAsync(observer, $"INSERT INTO `long` SELECT seq, seq FROM {Sql.Sequence(2000)}");
        var random = new Random((int)Seed.Next());
        double select = await UsualTimeAsync(pool);
        int severed = 0;
        for (int round = 0; round < KillRounds; round++)
        {
            using var leaves = new CancellationTokenSource();
            Task<int> running = ReadAsync(pool, Slow, 1, leaves.Token);

            // Spread around the statement's end, where the race occurs.
            await SpinAsync(TimeSpan.FromSeconds(select * (0.5 + random.NextDouble())));
            leaves.Cancel();
            try
            {
                await running;
            }
            catch (OperationCanceledException)
            {
                severed++;
            }

            // An interrupted SELECT fails with error 1317; SLEEP returns 1.
            if (round % 2 == 0)
            {
                Assert.Equal(1, await ReadAsync(pool, Slow, 1, CancellationToken.None));
            }
            else
            {
                await using PooledConnection next = (await pool.RentAsync()).GetConnectionOrThrow();
                Assert.Equal(0, await ScalarAsync(next, "SELECT SLEEP(0.0005)"));
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"severed {severed} of {KillRounds}, opened {pool.Snapshot().Opened}");
        Assert.InRange(severed, KillRounds / 20, KillRounds);
    }

    /// <summary>The counters of a private server for these rents on a table of three rows.</summary>
    private static async Task<Counters> CountAsync(Func<PooledDataSource, Task> rents)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();

        // The control connections' clock does not move, so they do not query the server meanwhile.
        await using var fixture = new MySqlPoolFixture(server.ConnectionString())
        {
            ControlClock = new FakeTimeProvider(),
        };
        PooledDataSource pool = fixture.CreatePool(o => o.MaxConnections = 1);
        await using MySqlConnection observer = await fixture.ObserveAsync();
        await ExecuteAsync(observer, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)");
        await ExecuteAsync(observer, "INSERT INTO t (v) VALUES (1), (2), (3)");
        await ReadAsync(pool, All, 0);

        // Wait for their start-up too: the second answer comes after all work of the first.
        for (int turn = 0; turn < 2; turn++) await fixture.Control.KillLane.AnswerAsync();
        Counters before = await Counters.ReadAsync(observer);
        await rents(pool);
        Counters counted = await Counters.ReadAsync(observer) - before;
        return counted with { Questions = counted.Questions - Counters.Own };
    }

    private static async Task<double> UsualTimeAsync(PooledDataSource pool)
    {
        double[] times = new double[101];
        for (int i = 0; i < times.Length; i++)
        {
            long startedAt = Stopwatch.GetTimestamp();
            await ReadAsync(pool, Slow, 1);
            times[i] = Stopwatch.GetElapsedTime(startedAt).TotalSeconds;
        }

        return times.Order().ElementAt(times.Length / 2);
    }

    private static async Task<int> ReadAsync(
        PooledDataSource pool, FixedSelect select, object value, CancellationToken token = default)
    {
        RentResult rent = await pool.RentAsync(select, Deadline.None, token);
        await using PooledConnection connection = rent.GetConnectionOrThrow();
        return await ReadAsync(connection, select, value, token);
    }

    private static async Task<int> ReadAsync(
        PooledConnection connection, FixedSelect select, object value, CancellationToken token = default)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = select.Text;
        DbParameter parameter = command.CreateParameter();
        parameter.ParameterName = select == Warns ? "@text" : "@after";
        parameter.Value = value;
        command.Parameters.Add(parameter);
        await using DbDataReader reader = await command.ExecuteReaderAsync(token);
        int rows = 0;
        while (await reader.ReadAsync(token)) rows++;
        return rows;
    }

    private static async Task SpinAsync(TimeSpan time)
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(startedAt) < time) await Task.Yield();
    }

    /// <summary>The server's counters: statements, SELECTs and SETs.</summary>
    private sealed record Counters(long Questions, long Selects, long Sets)
    {
        /// <summary>The questions that one reading adds to the next.</summary>
        public const int Own = 1;

        public static async Task<Counters> ReadAsync(MySqlConnection observer)
        {
            await using MySqlCommand command = observer.CreateCommand();
            command.CommandText =
                "SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Com_select', 'Com_set_option')";
            await using MySqlDataReader reader = await command.ExecuteReaderAsync();
            Dictionary<string, long> values = [];
            while (await reader.ReadAsync())
                values[reader.GetString(0)] = long.Parse(reader.GetString(1), CultureInfo.InvariantCulture);
            return new Counters(values["Questions"], values["Com_select"], values["Com_set_option"]);
        }

        public static Counters operator -(Counters left, Counters right) => new(
            left.Questions - right.Questions, left.Selects - right.Selects, left.Sets - right.Sets);
    }
}
