using System.Data;
using System.Data.Common;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

public sealed class MySqlPoolTests : OnSharedServer
{
    [Fact]
    public async Task OpenConnection_Twice_UsesOneSession()
    {
        PooledDataSource pool = Fixture.CreatePool();
        long first, second;
        await using (DbConnection connection = await pool.OpenConnectionAsync())
            first = await ScalarAsync(connection, "SELECT CONNECTION_ID()");
        await UntilAsync(pool, s => s.Idle == 1);
        await using (DbConnection connection = await pool.OpenConnectionAsync())
            second = await ScalarAsync(connection, "SELECT CONNECTION_ID()");

        Assert.Equal(first, second);
        Assert.Equal(1, pool.Snapshot().Opened);
    }

    [Fact]
    public async Task Open_AnyServer_IsKnownByTheVersionThatItTells()
    {
        await using MySqlConnection observer = await Fixture.ObserveAsync();

        string? version = await TextAsync(observer, "SELECT VERSION()");
        Assert.Equal(version, DatabaseFamily.Of(observer.ServerVersion).Version);
    }

    [Fact]
    public async Task RentAsync_Exhausted_IsRefusedAfterRentTimeoutAndSaysWhy()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 2;
            o.RentTimeout = TimeSpan.FromMilliseconds(400);
        });
        await using DbConnection one = await pool.OpenConnectionAsync();
        await using DbConnection two = await pool.OpenConnectionAsync();

        await using var lateness = new TimerLateness();
        long startedAt = TimeProvider.System.GetTimestamp();
        RentResult third = await pool.RentAsync();
        TimeSpan waited = TimeProvider.System.GetElapsedTime(startedAt);

        Assert.False(third.IsRented);
        Assert.Equal(RefusalReason.TimedOut, third.Refusal);
        Assert.Contains("permits 2, used 2, idle 0", third.Message, StringComparison.Ordinal);
        Assert.True(waited.TotalMilliseconds >= 400);
        lateness.AssertWithin(waited, 450, "the refusal");
    }

    [Fact]
    public async Task RentAsync_ManyPending_AreServedInOrder()
    {
        PooledDataSource pool =
            Fixture.CreatePool(o => { o.MaxConnections = 1; o.RentTimeout = TimeSpan.FromSeconds(20); });
        DbConnection held = await pool.OpenConnectionAsync();
        List<int> served = [];
        List<Task> rents = [];
        for (int i = 0; i < 50; i++)
        {
            int number = i;
            ValueTask<RentResult> rent = pool.RentAsync();
            rents.Add(ServeAsync(rent, number));
        }

        await held.DisposeAsync();
        await Task.WhenAll(rents);
        Assert.Equal(Enumerable.Range(0, 50), served);

        async Task ServeAsync(ValueTask<RentResult> rent, int number)
        {
            await using PooledConnection connection = (await rent).GetConnectionOrThrow();
            lock (served) served.Add(number);
        }
    }

    [Fact]
    public async Task ExecuteReader_DeadlinePasses_EndsInTimeAndConnectionComesBackClean()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        long startedAt;
        await using var lateness = new TimerLateness();
        await using (PooledConnection connection =
            (await pool.RentAsync(Deadline.After(TimeSpan.FromMilliseconds(300)))).GetConnectionOrThrow())
        {
            startedAt = TimeProvider.System.GetTimestamp();
            await Assert.ThrowsAsync<DeadlineExceededException>(() => ScalarAsync(connection, "SELECT SLEEP(30)"));
            lateness.AssertWithin(TimeProvider.System.GetElapsedTime(startedAt), 350, "the statement");
            Assert.Equal(ConnectionState.Closed, connection.State);
            var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ScalarAsync(connection, "SELECT 1"));
            Assert.Contains("severed", error.Message, StringComparison.Ordinal);
        }

        await UntilAsync(pool, s => s.Idle == 1, 2, "an idle connection after the kill");
        Assert.Equal(1, pool.Snapshot().Opened);
        await using MySqlConnection observer = await Fixture.ObserveAsync();
        Assert.Equal(0, await ScalarAsync(
            observer, $"SELECT COUNT(*) FROM {Sql.ProcessList} WHERE INFO LIKE 'SELECT SLEEP(30)'"));
    }

    [Fact]
    public async Task ExecuteReader_CallerLeaves_IsFreeAtOnceAndStatementIsKilled()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        using var leaves = new CancellationTokenSource();
        await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT SLEEP(30)";
        Task<object?> running = command.ExecuteScalarAsync(leaves.Token);

        await using var lateness = new TimerLateness();
        long startedAt = TimeProvider.System.GetTimestamp();
        leaves.Cancel();
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(leaves.Token, error.CancellationToken);
        lateness.AssertWithin(TimeProvider.System.GetElapsedTime(startedAt), 50, "the caller's leaving");
        await UntilAsync(pool, s => s.Idle == 1, 2);
        Assert.Equal(1, pool.Snapshot().Severed);
    }

    [Fact]
    public async Task Dispose_RowsLeftUnread_ReturnsWithoutReadingThem()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        long startedAt;
        await using var lateness = new TimerLateness();
        await using (PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow())
        {
            DbCommand command = connection.CreateCommand();
            command.CommandText = $"SELECT a.seq, REPEAT('x', 200) FROM {Sql.Sequence(1_000_000, "a")}";
            DbDataReader reader = await command.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            startedAt = TimeProvider.System.GetTimestamp();
            reader.Dispose();
            Assert.Throws<InvalidOperationException>(() => reader.GetInt64(0));
        }

        lateness.AssertWithin(TimeProvider.System.GetElapsedTime(startedAt), 50, "the return");
        await UntilAsync(pool, s => s.Idle + s.Opened > 0 && s.Used == 0, 3);
        await using DbConnection next = await pool.OpenConnectionAsync();
        Assert.Equal(1, await ScalarAsync(next, "SELECT 1"));
    }

    [Fact]
    public async Task Return_EverythingDirtied_NextRenterSeesNone()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using MySqlConnection observer = await Fixture.ObserveAsync();
        await ExecuteAsync(observer, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB");
        string? before;
        await using (DbConnection connection = await pool.OpenConnectionAsync())
            before = await DirtySession.FactsAsync(connection);

        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            await DirtySession.DirtyAsync(connection, Database.Name);
        }

        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            Assert.Equal(before, await DirtySession.FactsAsync(connection));
            await DirtySession.AssertNothingLeftAsync(connection);
            Assert.Equal(1, await ScalarAsync(connection, "SELECT COUNT(*) FROM t"));
        }

        Assert.Equal(1, pool.Snapshot().Opened);
    }

    [Fact]
    public async Task Transaction_DisposedWithoutCommit_IsRolledBackAndConnectionGoesOn()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await ExecuteAsync(connection, "CREATE TABLE t (id INT)");
        await using (DbTransaction transaction = await connection.BeginTransactionAsync())
            await ExecuteAsync(connection, "INSERT INTO t VALUES (1)");
        Assert.Equal(0, await ScalarAsync(connection, "SELECT COUNT(*) FROM t"));

        await using (DbTransaction transaction = await connection.BeginTransactionAsync())
        {
            await ExecuteAsync(connection, "INSERT INTO t VALUES (1)");
            await transaction.CommitAsync();
        }

        Assert.Equal(1, await ScalarAsync(connection, "SELECT COUNT(*) FROM t"));
    }

    [Fact]
    public async Task Close_TransactionLeftOpen_NextRenterCanBeginItsOwn()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            await connection.BeginTransactionAsync();
        }

        await using DbConnection next = await pool.OpenConnectionAsync();
        await using DbTransaction transaction = await next.BeginTransactionAsync();
        await transaction.CommitAsync();
        Assert.Equal(1, pool.Snapshot().Opened);
    }

    [Fact]
    public async Task MaxConnections_LoweredAndRaised_ClosesAndOpens()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 4);
        List<DbConnection> held = [];
        for (int i = 0; i < 4; i++) held.Add(await pool.OpenConnectionAsync());
        pool.MaxConnections = 1;
        foreach (DbConnection connection in held) await connection.DisposeAsync();
        await UntilAsync(pool, s => s is { Idle: 1, Used: 0, Closing: 0 });

        pool.MaxConnections = 3;
        await using DbConnection one = await pool.OpenConnectionAsync();
        await using DbConnection two = await pool.OpenConnectionAsync();
        await using DbConnection three = await pool.OpenConnectionAsync();
        Assert.False((await pool.RentAsync(Deadline.After(TimeSpan.FromMilliseconds(50)))).IsRented);
    }

    [Fact]
    public async Task Open_WrongPassword_IsUnavailableAtOnceAndTellsNoSecret()
    {
        var builder = new MySqlConnectionStringBuilder(Database.ConnectionString) { Password = "wr0ng-secret" };
        await using var fixture = new MySqlPoolFixture(builder.ConnectionString);
        PooledDataSource pool = fixture.CreatePool();
        var error = await Assert.ThrowsAsync<RentRefusedException>(async () => await pool.OpenConnectionAsync());

        Assert.Equal(RefusalReason.Unavailable, error.Reason);
        Assert.Contains("wrong user or password", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("wr0ng-secret", error.ToString(), StringComparison.Ordinal);

        // The server's message names the account; its number is kept.
        Assert.DoesNotContain("Access denied", error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain($"'{builder.UserID}'", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(1045, error.InnerException!.Data["Server Error Code"]);
        Assert.False(pool.Health.IsHealthy);
    }

    [Fact]
    public async Task Synchronous_NotAllowed_Throws()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT 1";
        Assert.Throws<InvalidOperationException>(() => command.ExecuteScalar());
        Assert.Throws<InvalidOperationException>(() => pool.OpenConnection());
    }

    [Fact]
    public async Task Open_InsideTransactionScope_IsRefusedInWords()
    {
        PooledDataSource pool = Fixture.CreatePool();
        using var scope = new System.Transactions.TransactionScope(
            System.Transactions.TransactionScopeAsyncFlowOption.Enabled);
        await Assert.ThrowsAsync<NotSupportedException>(async () => await pool.OpenConnectionAsync());
    }

    [Fact]
    public async Task Reader_ConnectionClosedAndOpenedAgain_CannotReadTheNextRentersRows()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = $"SELECT seq FROM {Sql.Sequence(10)}";
        DbDataReader stale = await command.ExecuteReaderAsync();
        Assert.True(await stale.ReadAsync());
        await connection.CloseAsync();
        await connection.OpenAsync();

        await using DbDataReader fresh = await command.ExecuteReaderAsync();
        Assert.True(await fresh.ReadAsync());
        await Assert.ThrowsAsync<InvalidOperationException>(() => stale.ReadAsync());
        Assert.Throws<InvalidOperationException>(() => stale.GetInt64(0));
        await stale.DisposeAsync();
        Assert.True(await fresh.ReadAsync());
        Assert.Equal(2, fresh.GetInt64(0));
    }

    [Fact]
    public async Task OpenAsync_DisposedWhileItWaits_GivesTheRentBack()
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(10);
        });
        DbConnection held = await pool.OpenConnectionAsync();
        DbConnection late = pool.CreateConnection();
        Task opening = late.OpenAsync(TestContext.Current.CancellationToken);
        await late.DisposeAsync();
        await held.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => opening);
        await UntilAsync(pool, s => s.Idle == 1);
    }

    [Fact]
    public async Task Statement_ThatTheServerRefuses_ClearsNothing()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection idle = await pool.OpenConnectionAsync();
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            // 1044 or 1049: no right to the database, or no such database.
            var error =
                await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, "USE no_such_database"));
            Assert.Equal(FailureKind.StatementFailed, pool.Classify(error));
        }

        await idle.DisposeAsync();
        await UntilAsync(pool, s => s.Idle == 2);
        Assert.Equal(2, pool.Snapshot().Opened);
    }

    [Fact]
    public async Task Script_LaterStatementFails_DoesNotClaimThatNothingWasDone()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await ExecuteAsync(connection, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT UNIQUE)");
        var script = await Assert.ThrowsAsync<MySqlException>(
            () => ExecuteAsync(connection, "INSERT INTO t (v) VALUES (1); SELECT * FROM nowhere"));
        Assert.Equal(FailureKind.OutcomeUnknown, pool.Classify(script));

        await using DbBatch batch = connection.CreateBatch();
        foreach (string text in (string[])["INSERT INTO t (v) VALUES (2)", "INSERT INTO t (v) VALUES (1)"])
        {
            DbBatchCommand one = batch.CreateBatchCommand();
            one.CommandText = text;
            batch.BatchCommands.Add(one);
        }

        var batched = await Assert.ThrowsAsync<MySqlException>(() => batch.ExecuteNonQueryAsync());
        Assert.Equal(FailureKind.OutcomeUnknown, pool.Classify(batched));
        Assert.Equal(2, await ScalarAsync(connection, "SELECT COUNT(*) FROM t"));

        // Only the first statement can cause a duplicate key.
        var insert = await Assert.ThrowsAsync<MySqlException>(
            () => ScalarAsync(connection, "INSERT INTO t (v) VALUES (1); SELECT LAST_INSERT_ID()"));
        Assert.Equal(FailureKind.StatementFailed, pool.Classify(insert));
        Assert.Equal(2, await ScalarAsync(connection, "SELECT COUNT(*) FROM t"));
    }

    [Fact]
    public async Task Open_UsualServer_AsksOnceAndSetsNothing()
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection connection = await pool.OpenConnectionAsync();

        // The driver's SET NAMES (none from MariaDB 11.5 on), the query for the session's identity, and this query.
        long asked = await ScalarAsync(
            connection,
            $"SELECT VARIABLE_VALUE FROM {Sql.SessionStatus} WHERE VARIABLE_NAME = 'QUESTIONS'");
        Assert.InRange(asked, 2, 3);
    }

    [Theory]
    [InlineData(1180, FailureKind.OutcomeUnknown, false)]
    [InlineData(1213, FailureKind.StatementFailed, true)]
    [InlineData(1205, FailureKind.StatementFailed, true)]
    [InlineData(1317, FailureKind.StatementFailed, false)]
    [InlineData(1026, FailureKind.StatementFailed, false)]
    public async Task Classify_ErrorOfACommit_IsARefusalOnlyWhenThatIsCertain(
        int number, FailureKind means, bool isRefused)
    {
        PooledDataSource pool = Fixture.CreatePool();
        await using DbConnection connection = await pool.OpenConnectionAsync();
        var error = await Assert.ThrowsAsync<MySqlException>(
            () => ExecuteAsync(connection, $"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}"));
        Assert.Equal(number, error.Number);
        Assert.Equal(means, pool.Classify(error));
        Assert.Equal(isRefused, UPool.MySql.MySqlErrors.IsCommitRefused(error));
    }

    [Theory]
    [InlineData("Server=a,b;User ID=u;Password=s3cret;Database=d", "several servers")]
    [InlineData("Server=a;Load Balance=Random;User ID=u;Password=s3cret;Database=d", "several servers")]
    [InlineData("Server=a;User ID=u;Password=s3cret", "no Database")]
    [InlineData("Server=a;Pasword=s3cret", "cannot be read")]
    public void Problem_ConnectionStringOfNoUse_IsToldWithoutASecret(string connectionString, string says)
    {
        string? problem = UPool.MySql.MySqlPool.Problem(connectionString);
        Assert.Contains(says, problem, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Kill_OfASessionInUse_IsReplaced()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.MaxConnections = 1);
        await using MySqlConnection observer = await Fixture.ObserveAsync();
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            long id = await ScalarAsync(connection, "SELECT CONNECTION_ID()");
            await ExecuteAsync(observer, $"KILL {id}");
            Exception error = await Assert.ThrowsAnyAsync<DbException>(() => ScalarAsync(connection, "SELECT 1"));
            Assert.Equal(FailureKind.ConnectionLost, pool.Classify(error));
        }

        await using DbConnection next = await pool.OpenConnectionAsync();
        Assert.Equal(1, await ScalarAsync(next, "SELECT 1"));
    }

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task Sessions_ReplacedAHundredTimes_NeverExceedThePermits()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        PooledDataSource pool = fixture.CreatePool(o =>
        {
            o.MaxConnections = 4;
            o.RentTimeout = TimeSpan.FromSeconds(30);
        });
        await using MySqlConnection observer = await fixture.ObserveAsync(server.RootConnectionString);
        for (int i = 0; i < 100; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
            {
                await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
                connection.Unwrap<MySqlConnection>();
                await ScalarAsync(connection, "SELECT 1");
            }));
        }

        Assert.True(pool.Snapshot().Opened >= 700);
        long most = long.Parse((await StatusAsync(observer, "Max_used_connections"))!);
        Assert.InRange(most, 4, 4 + 2 + 1);
    }

    internal static async Task<string?> StatusAsync(MySqlConnection connection, string name)
    {
        await using MySqlCommand command = connection.CreateCommand();
        command.CommandText = $"SHOW GLOBAL STATUS LIKE '{name}'";
        await using MySqlDataReader reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        return reader.GetString(1);
    }
}
