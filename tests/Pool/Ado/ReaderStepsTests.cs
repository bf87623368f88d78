using System.Collections;
using System.Data;
using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

/// <summary>A reader's steps: synchronous ones on data that has arrived, and its close.</summary>
public sealed class ReaderStepsTests
{
    [Fact]
    public Task Read_RowsHaveArrived_GivesThemWithoutBeingAllowed() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        await using DbDataReader reader = await command.ExecuteReaderAsync();
        List<int> rows = [];
        do
        {
            Assert.True(reader.HasRows);
            while (reader.Read()) rows.Add(reader.GetInt32(0));
            Assert.True(reader.HasRows);
        }
        while (reader.NextResult());
        Assert.Equal([1, 2, 1, 2], rows);
    });

    [Fact]
    public Task GetEnumerator_RowsHaveArrived_GivesThem() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        IEnumerator rows = reader.GetEnumerator();
        Assert.True(rows.MoveNext());
        Assert.True(rows.MoveNext());
        Assert.False(rows.MoveNext());
    });

    [Theory]
    [InlineData(Step.Row)]
    [InlineData(Step.NextResult)]
    public Task Read_NotArrived_SaysSoAndTheAsynchronousStepGoesOn(Step step) => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        pool.Server.Hold(step);
        var error = Assert.Throws<InvalidOperationException>(
            () => step == Step.Row ? reader.Read() : reader.NextResult());
        Assert.Contains("AllowSynchronous", error.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => reader.GetInt32(0));
        Task<bool> goingOn = step == Step.Row ? reader.ReadAsync() : reader.NextResultAsync();
        Assert.False(goingOn.IsCompleted);
        pool.Server.Answer(step);
        Assert.True(await pool.FinishAsync(goingOn));
        Assert.Equal(1, pool.Server.CallsOf(step));
        if (step == Step.Row) Assert.Equal(1, reader.GetInt32(0));
    });

    [Fact]
    public Task HasRows_NotArrived_SaysSoAndIsKnownLater() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        pool.Server.Hold(Step.Row);
        Assert.Throws<InvalidOperationException>(() => reader.HasRows);
        pool.Server.Answer(Step.Row);
        Assert.True(reader.HasRows);
        Assert.Throws<InvalidOperationException>(() => reader.GetInt32(0));
        Assert.True(await reader.ReadAsync());
        Assert.Equal(1, reader.GetInt32(0));
    });

    [Fact]
    public Task Read_NotArrivedPastTheDeadline_SeversAsAnyOtherStep() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        await using DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        pool.Server.Hold(Step.Row);
        Assert.Throws<InvalidOperationException>(() => reader.Read());
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(reader.ReadAsync()));
        Assert.Equal(ConnectionState.Closed, connection.State);
    });

    [Fact]
    public Task Dispose_SynchronousReadLeftUnderWay_ConnectionIsSeveredAndTheSessionComesBack() =>
        PoolHarness.RunAsync(async pool =>
        {
            await using PooledConnection connection = await pool.OpenedAsync();
            DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
            pool.Server.Hold(Step.Row);
            Assert.Throws<InvalidOperationException>(() => reader.Read());
            reader.Dispose();
            Assert.Equal(ConnectionState.Closed, connection.State);
            pool.Server.Answer(Step.Row);
            await pool.UntilAsync("idle", c => c is { Used: 0, Idle: 1 });
        });

    [Fact]
    public Task DisposeAsync_RestNotArrived_WaitsForIt() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        DbDataReader reader = await command.ExecuteReaderAsync();
        pool.Server.Hold(Step.NextResult);
        Task closing = reader.DisposeAsync().AsTask();
        FakeCall rest = await pool.HeldAsync(Step.NextResult);
        Assert.False(closing.IsCompleted);
        pool.Server.AnswerNew(Step.NextResult);
        pool.Server.Finish(rest, null);
        await pool.FinishAsync(closing);
        Assert.True(reader.IsClosed);
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    });

    [Fact]
    public Task DisposeAsync_RestPastTheDeadline_EndsByIt() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        pool.Server.Hold(Step.NextResult);
        Task closing = reader.DisposeAsync().AsTask();
        await pool.HeldAsync(Step.NextResult);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(closing));
        Assert.True(reader.IsClosed);
        Assert.Equal(ConnectionState.Closed, connection.State);
        await pool.UntilAsync("idle", c => c is { Used: 0, Idle: 1 });
    });

    [Theory]
    [InlineData("close")]
    [InlineData("cancel")]
    [InlineData("drain")]
    public Task DisposeAsync_CutOffMeanwhile_EndsAtOnce(string how) => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        DbCommand command = connection.CreateCommand();
        DbDataReader reader = await command.ExecuteReaderAsync();
        pool.Server.Hold(Step.NextResult);
        Task closing = reader.DisposeAsync().AsTask();
        await pool.HeldAsync(Step.NextResult);
        if (how == "close") await Task.Run(connection.Close);
        else if (how == "cancel") await Task.Run(command.Cancel);
        else
        {
            pool.IsDrained = true;
            _ = pool.Pool.DrainAsync(TimeSpan.Zero);
        }

        await pool.FinishAsync(closing);
        Assert.Equal(ConnectionState.Closed, connection.State);
        await pool.AdvanceUntilAsync("rest", c => c is { Used: 0, Closing: 0 });
    });

    [Fact]
    public Task DisposeAsync_RestFailsInATransaction_IsHeardByTheNextStatement() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        await using DbCommand command = connection.CreateCommand();
        DbDataReader reader = await command.ExecuteReaderAsync();
        pool.Server.Fail(Step.NextResult, DriverFailure.RolledBack, times: 1);
        await reader.DisposeAsync();
        await Assert.ThrowsAsync<FakeDbException>(() => transaction.CommitAsync());
        Assert.DoesNotContain("commit", pool.Server.Applied);
    });

    [Fact]
    public Task ReadAsync_DriverThrowsAtTheCall_TheConnectionGoesOn() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        await using (DbDataReader reader = await command.ExecuteReaderAsync())
        {
            pool.Server.ThrowAtTheCall = true;
            await Assert.ThrowsAsync<NotSupportedException>(() => reader.ReadAsync());
            await Assert.ThrowsAsync<NotSupportedException>(() => reader.NextResultAsync());
            pool.Server.ThrowAtTheCall = false;
            Assert.True(await reader.ReadAsync());
        }

        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Dispose_DriverThrowsAtTheCall_TheConnectionGoesOnWithoutAWait(bool asynchronously) =>
        PoolHarness.RunAsync(async pool =>
        {
            await using PooledConnection connection = await pool.OpenedAsync();
            DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
            pool.Server.ThrowAtTheCall = true;
            Exception? error = asynchronously
                ? await Record.ExceptionAsync(() => reader.DisposeAsync().AsTask())
                : Record.Exception(reader.Dispose);
            Assert.Null(error);
            pool.Server.ThrowAtTheCall = false;
            Assert.Equal(1, await connection.CreateCommand().ExecuteNonQueryAsync());
        });

    [Fact]
    public Task ReadAsync_TokenCancelledBefore_IsACancelledTask() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        Task<bool> read = reader.ReadAsync(new CancellationToken(canceled: true));
        Assert.True(read.IsCanceled);
    });

    [Fact]
    public Task Reader_Closed_SaysSoAsTheDriverDoes() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        await reader.CloseAsync();
        await reader.CloseAsync();
        Assert.Throws<InvalidOperationException>(() => reader.Read());
        Assert.Throws<InvalidOperationException>(() => reader.NextResult());
        Assert.Throws<InvalidOperationException>(() => reader.FieldCount);
        await Assert.ThrowsAsync<InvalidOperationException>(() => reader.ReadAsync());
    });
}
