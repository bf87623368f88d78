using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Recovery of a connection after its renter has returned it.</summary>
public sealed class RecoveryTests
{
    [Fact]
    public Task Release_ResetFails_ConnectionIsReplaced() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Fail(Step.Reset, DriverFailure.Statement, times: 1);
        RentOutcome held = await pool.RentedAsync();
        pool.Return(held);
        RentOutcome next = await pool.FinishAsync(pool.Rent());
        Assert.NotSame(held.Connection, next.Connection);
        Assert.Single(pool.Log.Of(1003));
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
        pool.Return(next);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Release_ResetHangs_ConnectionIsReplacedAfterRecoveryTimeout() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Reset);
        RentOutcome held = await pool.RentedAsync();
        pool.Return(held);
        await pool.HeldAsync(Step.Reset);
        long startedAt = pool.Clock.GetTimestamp();
        Task<RentOutcome> next = pool.Rent(pool.In(60_000));
        await pool.AdvanceUntilAsync("a new connection", _ => next.IsCompleted);
        Assert.NotSame(held.Connection, (await next).Connection);
        Assert.InRange(pool.Clock.GetElapsedTime(startedAt).TotalMilliseconds, 100, 200);
        pool.Server.Answer(Step.Reset);
        pool.Return(await next);
    }, o => { o.MaxConnections = 1; o.RecoveryTimeout = TimeSpan.FromMilliseconds(100); });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Release_StatementInFlight_IdleOnlyAfterItsEndAndTheKillsAnswer(bool killIsAnsweredFirst) =>
        PoolHarness.RunAsync(async pool =>
        {
            pool.Server.Hold(Step.Statement, Step.Kill);
            PooledConnection connection = await pool.OpenedAsync();
            using DbCommand command = connection.CreateCommand();
            Task<int> statement = command.ExecuteNonQueryAsync();
            FakeCall running = await pool.HeldAsync(Step.Statement);
            connection.Close();
            await Assert.ThrowsAsync<InvalidOperationException>(() => pool.FinishAsync(statement));
            FakeCall kill = await pool.HeldAsync(Step.Kill);
            Assert.Equal(0, pool.Server.CallsOf(Step.Reset));

            // If the kill were answered first, the fake would end the statement with it.
            if (!killIsAnsweredFirst) pool.Server.Finish(running, null);
            Task<RentOutcome> next = pool.Rent();
            await pool.AdvanceAsync(TimeSpan.FromMilliseconds(100));
            Assert.False(next.IsCompleted);
            Assert.Equal(0, pool.Server.CallsOf(Step.Reset));
            pool.Server.Finish(kill, null);
            RentOutcome rented = await pool.FinishAsync(next);
            Assert.Equal(1, pool.Server.CallsOf(Step.Reset));
            Assert.Equal(1, pool.Pool.Snapshot().Opened);
            pool.Return(rented);
        }, o => o.MaxConnections = 1);

    [Fact]
    public Task Release_KillHangs_ConnectionIsReplaced() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Statement, Step.Kill);
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        using DbCommand command = connection.CreateCommand();
        Task<int> statement = command.ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(statement));
        await pool.HeldAsync(Step.Kill);
        await pool.AdvanceUntilAsync("gone", c => c is { Used: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
        Assert.Equal(1, pool.Pool.Snapshot().Severed);
    }, o => o.RecoveryTimeout = TimeSpan.FromMilliseconds(100));

    [Fact]
    public Task Release_CannotKill_IsDiscardedAndSendsNoKill() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.CanKill = false;
        pool.Server.Hold(Step.Statement);
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        using DbCommand command = connection.CreateCommand();
        Task<int> statement = command.ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(statement));
        await pool.UntilAsync("closed", c => c is { Idle: 0, Used: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
        Assert.Equal(0, pool.Server.CallsOf(Step.Kill));
    });

    [Fact]
    public Task Release_CannotKillAndRowsAreLeft_IsDiscardedWhenTheyTakeLong() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.CanKill = false;
        PooledConnection connection = await pool.OpenedAsync();
        DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        pool.Server.Hold(Step.NextResult);
        connection.Close();
        await pool.HeldAsync(Step.NextResult);
        await pool.AdvanceUntilAsync("closed", c => c is { Idle: 0, Used: 0, Closing: 0 });
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
        Assert.Equal(0, pool.Server.CallsOf(Step.Kill));
    });

    [Fact]
    public Task Release_RowsLeftUnread_AreSkippedBeforeTheReset() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        pool.Server.Hold(Step.NextResult);
        connection.Close();
        FakeCall skipping = await pool.HeldAsync(Step.NextResult);
        Assert.Equal(0, pool.Server.CallsOf(Step.Reset));
        pool.Server.AnswerNew(Step.NextResult);
        pool.Server.Finish(skipping, null);
        await pool.UntilAsync("idle", c => c.Idle == 1);
        Assert.Equal(1, pool.Pool.Snapshot().Opened);
        Assert.Throws<InvalidOperationException>(() => reader.GetInt32(0));
    });

    [Fact]
    public Task Release_ManyRowsLeftUnread_StatementIsKilled() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        pool.Server.Hold(Step.NextResult);
        connection.Close();
        await pool.HeldAsync(Step.NextResult);
        await pool.AdvanceUntilAsync("the kill", _ => pool.Server.CallsOf(Step.Kill) == 1);
        await pool.AdvanceUntilAsync("rest", c => c is { Used: 0, Closing: 0 });
    });

    [Fact]
    public Task Release_FirstResultReadAndMoreToCome_StatementIsKilled() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
        }

        // The synchronous Dispose waits for nothing; the asynchronous one reads on until the deadline.
        pool.Server.Hold(Step.NextResult);
        reader.Dispose();
        connection.Close();
        await pool.HeldAsync(Step.NextResult);
        await pool.AdvanceUntilAsync("the kill", _ => pool.Server.CallsOf(Step.Kill) == 1);
        await pool.AdvanceUntilAsync("rest", c => c is { Used: 0, Closing: 0 });
    });

    [Fact]
    public Task Release_TransactionLeftOpen_IsRolledBackAndTheConnectionGoesOn() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        await connection.BeginTransactionAsync();
        using DbCommand command = connection.CreateCommand();
        command.CommandText = "lost";
        await command.ExecuteNonQueryAsync();
        connection.Close();
        await pool.UntilAsync("idle", c => c.Idle == 1);

        await using PooledConnection next = await pool.OpenedAsync();
        await using DbTransaction own = await next.BeginTransactionAsync();
        await own.CommitAsync();
        Assert.Equal(1, pool.Pool.Snapshot().Opened);
        Assert.Equal(1, pool.Server.CallsOf(Step.Rollback));
        Assert.DoesNotContain("lost", pool.Server.Applied);
    });

    [Fact]
    public Task Release_SeveredBeginSucceedsLate_NextRenterFindsNoTransaction() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Begin, Step.Kill);
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        Task<DbTransaction> begin = connection.BeginTransactionAsync().AsTask();
        FakeCall beginning = await pool.HeldAsync(Step.Begin);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(begin));
        pool.Server.Answer(Step.Begin);
        Assert.NotNull(beginning);
        pool.Server.Answer(Step.Kill);
        await pool.UntilAsync("rest", c => c is { Used: 0, Closing: 0 });

        await using PooledConnection next = await pool.OpenedAsync();
        using DbCommand command = next.CreateCommand();
        await command.ExecuteNonQueryAsync();
        await using DbTransaction own = await next.BeginTransactionAsync();
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Release_SeveredReaderArrivesLate_IsClosedAndTheConnectionGoesOn() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Hold(Step.Statement, Step.Kill);
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        Task<DbDataReader> reading = connection.CreateCommand().ExecuteReaderAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(reading));
        pool.Server.Answer(Step.Statement);
        pool.Server.Answer(Step.Kill);
        await pool.UntilAsync("idle", c => c.Idle == 1);
        Assert.Equal(1, pool.Pool.Snapshot().Opened);
    }, o => o.MaxConnections = 1);

    [Theory]
    [InlineData(DriverFailure.Connection)]
    [InlineData(DriverFailure.WrongServer)]
    public Task NoteFailure_SessionLost_ClearsThoseOfItsAge(object kind) => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(3);
        PooledConnection connection = await pool.OpenedAsync();
        PooledConnection other = await pool.OpenedAsync();
        pool.Server.Fail(Step.Statement, (DriverFailure)kind, times: 1);
        using DbCommand command = connection.CreateCommand();
        var error = await Assert.ThrowsAsync<FakeDbException>(() => command.ExecuteNonQueryAsync());
        Assert.Equal(
            (DriverFailure)kind == DriverFailure.Connection ? FailureKind.ConnectionLost : FailureKind.StatementFailed,
            pool.Source.Classify(error));
        await pool.UntilAsync("the idle one is closed", c => c is { Idle: 0, Closing: 0, Used: 2 });

        // A newly opened connection is not affected when the other old one fails.
        RentOutcome fresh = await pool.RentedAsync();
        pool.Server.Fail(Step.Statement, (DriverFailure)kind, times: 1);
        using DbCommand late = other.CreateCommand();
        await Assert.ThrowsAsync<FakeDbException>(() => late.ExecuteNonQueryAsync());
        pool.Return(fresh);
        connection.Close();
        other.Close();
        await pool.UntilAsync("rest", c => c is { Used: 0, Closing: 0, Idle: 1 });
        Assert.Equal(4, pool.Pool.Snapshot().Opened);
    }, o => o.MaxConnections = 3);

    [Fact]
    public Task NoteFailure_NoPermit_DiscardsThatConnectionOnly() => PoolHarness.RunAsync(async pool =>
    {
        await pool.WarmAsync(2);
        PooledConnection connection = await pool.OpenedAsync();
        pool.Server.Fail(Step.Statement, DriverFailure.NoPermit, times: 1);
        using DbCommand command = connection.CreateCommand();
        await Assert.ThrowsAsync<FakeDbException>(() => command.ExecuteNonQueryAsync());
        connection.Close();
        await pool.UntilAsync("rest", c => c is { Used: 0, Closing: 0, Idle: 1 });
    });

    [Fact]
    public Task NoteFailure_StatementFailed_ConnectionGoesOn() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        pool.Server.Fail(Step.Statement, DriverFailure.Statement, times: 1);
        using DbCommand command = connection.CreateCommand();
        await Assert.ThrowsAsync<FakeDbException>(() => command.ExecuteNonQueryAsync());
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        connection.Close();
        await pool.UntilAsync("idle", c => c.Idle == 1);
        Assert.Equal(0, pool.Pool.Snapshot().Closed["discarded"]);
    });
}
