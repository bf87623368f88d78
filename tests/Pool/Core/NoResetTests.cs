using System.Data;
using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>No-reset rents: when a session is returned without a reset, and which renter may have it next.</summary>
public sealed class NoResetTests
{
    private static readonly FixedSelect Select = new("SELECT `id` FROM `t`");

    public enum Misuse
    {
        OtherStatement,
        OtherBehavior,
        Batch,
        RowsLeft,
        ReaderLeftOpen,
        Failure,
        Deadline,
        Cancellation,
        Transaction,
        ChangeDatabase,
    }

    [Fact]
    public Task Return_AllRowsRead_IsIdleAtOnceWithoutACall() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        int resets = pool.Server.CallsOf(Step.Reset);
        for (int round = 0; round < 3; round++)
        {
            PooledConnection connection = await OpenAsync(pool);
            await ReadAllAsync(pool, connection, Select.Text);
            Assert.Equal(1, await ScalarAsync(connection, Select.Text));
            connection.Close();
            Assert.Equal((1, 0), (pool.Counts.Idle, pool.Counts.Used));
        }

        Assert.Equal(resets, pool.Server.CallsOf(Step.Reset));
        Assert.Equal(0, pool.Server.CallsOf(Step.Ping));
    });

    [Fact]
    public Task Return_RentThatDidNothing_IsIdleAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        (await OpenAsync(pool)).Close();
        Assert.Equal(1, pool.Counts.Idle);
    });

    [Theory]
    [MemberData(nameof(Misuses))]
    public Task Return_AnythingBesideTheSelect_IsReset(Misuse misuse) => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        int resets = pool.Server.CallsOf(Step.Reset);
        PooledConnection connection = await OpenAsync(pool);
        await MisuseAsync(pool, connection, misuse);
        connection.Close();
        await pool.AdvanceUntilAsync("idle", c => c is { Idle: 1, Used: 0 });
        Assert.Equal(resets + 1, pool.Server.CallsOf(Step.Reset));
    });

    public static TheoryData<Misuse> Misuses() => [.. Enum.GetValues<Misuse>()];

    [Fact]
    public Task Return_Unwrapped_IsDiscarded() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await OpenAsync(pool);
        connection.Unwrap<FakeDbConnection>();
        connection.Close();
        await pool.UntilAsync("closed", c => c is { Idle: 0, Used: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
    });

    [Fact]
    public Task Rent_OrdinaryAfterNoReset_WaitsForAReset() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        await UseAsync(pool);
        pool.Server.Hold(Step.Reset);
        Task<RentOutcome> ordinary = pool.Rent();
        FakeCall reset = await pool.HeldAsync(Step.Reset);
        Assert.False(ordinary.IsCompleted);
        pool.Server.Finish(reset, null);
        RentOutcome rented = await pool.FinishAsync(ordinary);
        Assert.False(((FakePhysicalConnection)rented.Connection!).Fake.IsDirty);
        pool.Server.Answer(Step.Reset);
        pool.Return(rented);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Rent_OrdinaryAfterNoResetAndTheResetFails_GetsAnother() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        await UseAsync(pool);
        pool.Server.Fail(Step.Reset, times: 1);
        RentOutcome rented = await pool.RentedAsync();
        Assert.Equal(2, ((FakePhysicalConnection)rented.Connection!).Fake.Id);
        pool.Return(rented);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Rent_OrdinaryAfterNoResetAndTheResetHangs_GetsAnother() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        await UseAsync(pool);
        pool.Server.Hold(Step.Reset);
        Task<RentOutcome> ordinary = pool.Rent();
        await pool.HeldAsync(Step.Reset);
        await pool.AdvanceUntilAsync("another", _ => ordinary.IsCompleted);
        RentOutcome rented = await pool.FinishAsync(ordinary);
        Assert.Equal(2, ((FakePhysicalConnection)rented.Connection!).Fake.Id);
        pool.Server.Answer(Step.Reset);
        pool.Return(rented);
    }, o =>
    {
        o.MaxConnections = 1;
        o.RecoveryTimeout = TimeSpan.FromMilliseconds(100);
    });

    [Fact]
    public Task Rent_BothKindsByTurns_EachKeepsItsOwnAndNobodyWaitsForAReset() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        int resets = pool.Server.CallsOf(Step.Reset);
        for (int round = 0; round < 5; round++)
        {
            await UseAsync(pool);
            Task<RentOutcome> ordinary = pool.Rent();
            Assert.True(ordinary.IsCompletedSuccessfully);
            pool.Return(await ordinary);
            await pool.UntilAsync("idle", c => c is { Idle: 2, Used: 0 });
        }

        Assert.Equal(resets + 5, pool.Server.CallsOf(Step.Reset));
    });

    [Fact]
    public Task Return_PendingOfBothKinds_AreServedInOrderOfArrival() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        PooledConnection held = await OpenAsync(pool);
        await ReadAllAsync(pool, held, Select.Text);
        Task<RentOutcome> first = RentNoReset(pool), second = pool.Rent(), third = RentNoReset(pool);
        pool.Server.Hold(Step.Reset);
        held.Close();
        RentOutcome one = await pool.FinishAsync(first);
        Assert.False(second.IsCompleted);

        // The head needs a session as new, so it is reset; the next pending rent does not overtake.
        pool.Return(one);
        FakeCall reset = await pool.HeldAsync(Step.Reset);
        Assert.False(second.IsCompleted || third.IsCompleted);
        pool.Server.Finish(reset, null);
        RentOutcome two = await pool.FinishAsync(second);
        Assert.False(third.IsCompleted);
        pool.Server.Answer(Step.Reset);
        pool.Return(two);
        pool.Return(await pool.FinishAsync(third));
        await pool.UntilAsync("idle", c => c is { Idle: 1, Used: 0 });
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Rent_NoResetSatIdle_IsAskedBeforeItIsRented() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        await UseAsync(pool);
        pool.Advance(pool.Options.ValidationInterval.TotalMilliseconds + 1);
        int resets = pool.Server.CallsOf(Step.Reset);
        RentOutcome rented = await pool.FinishAsync(RentNoReset(pool));
        Assert.Equal((resets + 1, 0), (pool.Server.CallsOf(Step.Reset), pool.Server.CallsOf(Step.Ping)));
        pool.Return(rented);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task TryRent_OrdinaryAfterNoReset_SucceedsOnceTheSessionIsReset() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(1);
        await UseAsync(pool);
        Assert.False(pool.Pool.TryRent(out _, out _));
        await pool.UntilAsync("idle", c => c is { Idle: 1, Used: 0 });
        Assert.True(pool.Pool.TryRent(out PhysicalConnection? connection, out long rentId));
        pool.Return(new RentOutcome(connection, rentId));
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Return_ClearedDrainedOrSurplus_IsClosed() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        PooledConnection one = await OpenAsync(pool), two = await OpenAsync(pool);
        pool.Source.Clear();
        one.Close();
        pool.SetPermits(1);
        two.Close();
        await pool.UntilAsync("closed", c => c is { Idle: 0, Used: 0, Closing: 0 });
        Assert.Equal(2, pool.Pool.Snapshot().Closed["cleared"]);
    });

    [Theory]
    [InlineData("SELECT 1")]
    [InlineData("SELECT `id`, `name` FROM `tb1` WHERE `id` > @after ORDER BY `id` LIMIT @count")]
    [InlineData("SELECT `id` FROM `t` WHERE `id` IN (@a,@b, @c) AND `v` IS NOT NULL ORDER BY `v` DESC")]
    public void FixedSelect_TablesAndParameters_IsTaken(string text) => Assert.Equal(text, new FixedSelect(text).Text);

    [Theory]
    [InlineData("UPDATE `t` SET `v` = 1")]
    [InlineData("SELECT CONNECTION_ID()")]
    [InlineData("SELECT `f`() FROM `t`")]
    [InlineData("SELECT `f` (@a) FROM `t`")]
    [InlineData("SELECT @@sql_mode")]
    [InlineData("SELECT @a := 1 FROM `t`")]
    [InlineData("SELECT `v` INTO @a FROM `t`")]
    [InlineData("SELECT `v` FROM `t`; SELECT 1")]
    [InlineData("SELECT `v` FROM `t` FOR UPDATE")]
    [InlineData("SELECT NEXT VALUE FOR `s`")]
    [InlineData("SELECT SQL_CALC_FOUND_ROWS `v` FROM `t`")]
    [InlineData("SELECT `v` /*! INTO @a */ FROM `t`")]
    [InlineData("SELECT `v` FROM `t` -- rest")]
    [InlineData("SELECT 'text' FROM `t`")]
    [InlineData("SELECT v FROM t")]
    [InlineData("select `v` FROM `t`")]
    [InlineData("SELECT `v` FROM `t` WHERE `v` IN (SLEEP(1))")]
    [InlineData("SELECT `v` FROM `t`\n;")]
    public void FixedSelect_AnythingElse_IsABug(string text) =>
        Assert.Contains(
            "bug:", Assert.Throws<ArgumentException>(() => new FixedSelect(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void FixedSelect_Parameters_AreCountedOnce() =>
        Assert.Equal(2, new FixedSelect("SELECT `id` FROM `t` WHERE `a` = @x OR `b` = @x AND `c` = @y").Parameters);

    private static Task<RentOutcome> RentNoReset(PoolHarness pool) => pool.Rent(select: Select);

    private static async Task<PooledConnection> OpenAsync(PoolHarness pool)
    {
        ValueTask<RentResult> rent = pool.Source.RentAsync(Select, Deadline.None, CancellationToken.None);
        return (await pool.FinishAsync(rent.AsTask())).GetConnectionOrThrow();
    }

    private static async Task UseAsync(PoolHarness pool)
    {
        PooledConnection connection = await OpenAsync(pool);
        await ReadAllAsync(pool, connection, Select.Text);
        connection.Close();
    }

    private static async Task ReadAllAsync(PoolHarness pool, DbConnection connection, string sql)
    {
        // As with a driver that has no work left at the end of a single result.
        pool.Server.Results = 0;
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = sql;
        await using DbDataReader reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync()) Assert.NotEqual(0, reader.GetInt32(0));
    }

    private static async Task<object?> ScalarAsync(DbConnection connection, string sql)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync();
    }

    private static async Task MisuseAsync(PoolHarness pool, PooledConnection connection, Misuse misuse)
    {
        DbCommand command = connection.CreateCommand();
        command.CommandText = Select.Text;
        switch (misuse)
        {
            case Misuse.OtherStatement:
                await ReadAllAsync(pool, connection, Select.Text + " ");
                break;
            case Misuse.OtherBehavior:
                await using (await command.ExecuteReaderAsync(CommandBehavior.SchemaOnly)) break;
            case Misuse.Batch:
                await using (DbBatch batch = connection.CreateBatch()) await batch.ExecuteNonQueryAsync();
                break;
            case Misuse.RowsLeft:
                await using (DbDataReader reader = await command.ExecuteReaderAsync()) await reader.ReadAsync();
                break;
            case Misuse.ReaderLeftOpen:
                await command.ExecuteReaderAsync();
                break;
            case Misuse.Failure:
                pool.Server.Fail(Step.Statement, DriverFailure.Statement, times: 1);
                await Assert.ThrowsAsync<FakeDbException>(() => command.ExecuteReaderAsync());
                break;
            case Misuse.Deadline:
                connection.Deadline = pool.In(100);
                pool.Server.Hold(Step.Statement);
                Task<DbDataReader> late = command.ExecuteReaderAsync();
                await pool.HeldAsync(Step.Statement);
                pool.Advance(120);
                await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(late));
                break;
            case Misuse.Cancellation:
                using (var leaves = new CancellationTokenSource())
                {
                    pool.Server.Hold(Step.Row);
                    await using DbDataReader reader = await command.ExecuteReaderAsync(leaves.Token);
                    Task<bool> reading = reader.ReadAsync(leaves.Token);
                    await pool.HeldAsync(Step.Row);
                    await leaves.CancelAsync();
                    await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(reading));
                }

                break;
            case Misuse.Transaction:
                await using (DbTransaction transaction = await connection.BeginTransactionAsync())
                    await transaction.CommitAsync();
                break;
            case Misuse.ChangeDatabase:
                await connection.ChangeDatabaseAsync("other");
                break;
        }
    }
}
