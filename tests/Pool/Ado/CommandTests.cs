using System.Data;
using System.Data.Common;

using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

public sealed class CommandTests
{
    [Fact]
    public Task Execute_EachWay_GivesTheDriversResult() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        Assert.Equal(1, await command.ExecuteScalarAsync());
        List<int> rows = [];
        await using (DbDataReader reader = await command.ExecuteReaderAsync())
        {
            do
            {
                while (await reader.ReadAsync()) rows.Add(reader.GetInt32(0));
            }
            while (await reader.NextResultAsync());
        }

        Assert.Equal([1, 2, 1, 2], rows);
        await using DbBatch batch = connection.CreateBatch();
        Assert.Equal(1, await batch.ExecuteNonQueryAsync());
        Assert.Equal(1, await batch.ExecuteScalarAsync());
    });

    [Fact]
    public Task CommandTimeout_Passed_SeversBeforeTheConnectionsDeadline() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync(pool.In(60_000));
        await using DbCommand command = connection.CreateCommand();
        command.CommandTimeout = 2;
        pool.Server.Hold(Step.Statement);
        Task<int> running = command.ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(1999);
        Assert.False(running.IsCompleted);
        pool.Advance(11);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(running));
        Assert.Equal(ConnectionState.Closed, connection.State);
        Assert.Equal(1, pool.Pool.Snapshot().Severed);
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task CommandTimeout_Zero_LeavesOnlyTheConnectionsDeadline(bool batched) => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        await using DbBatch batch = connection.CreateBatch();
        command.CommandTimeout = 0;
        batch.Timeout = 0;
        pool.Server.Hold(Step.Statement);
        Task<int> running = batched ? batch.ExecuteNonQueryAsync() : command.ExecuteNonQueryAsync();
        FakeCall statement = await pool.HeldAsync(Step.Statement);
        pool.Advance(TimeSpan.FromDays(1).TotalMilliseconds);
        Assert.False(running.IsCompleted);
        pool.Server.Finish(statement, null);
        Assert.Equal(1, await pool.FinishAsync(running));

        connection.Deadline = pool.In(100);
        running = batched ? batch.ExecuteNonQueryAsync() : command.ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(110);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(running));
    });

    [Fact]
    public Task CommandTimeout_NotSet_IsTheStatementTimeout() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        await using DbBatch batch = connection.CreateBatch();
        Assert.Equal(7, command.CommandTimeout);
        Assert.Equal(7, batch.Timeout);
        Assert.Throws<ArgumentOutOfRangeException>(() => command.CommandTimeout = -1);
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Timeout = -1);
        pool.Server.Hold(Step.Statement);
        Task<int> running = command.ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(7010);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(running));
    }, o => o.StatementTimeout = TimeSpan.FromSeconds(7));

    [Fact]
    public Task Execute_DeadlinePassedBefore_SendsNothing() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        await using DbCommand command = connection.CreateCommand();
        pool.Advance(50);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => command.ExecuteNonQueryAsync());
        Assert.Equal(0, pool.Server.CallsOf(Step.Statement));
        Assert.Equal(ConnectionState.Open, connection.State);

        connection.Deadline = Deadline.None;
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => command.ExecuteNonQueryAsync(new CancellationToken(canceled: true)));
        Assert.Equal(ConnectionState.Open, connection.State);
    });

    [Fact]
    public Task Execute_CallerLeaves_IsFreeAtOnceWithItsToken() => PoolHarness.RunAsync(async pool =>
    {
        using var leaves = new CancellationTokenSource();
        PooledConnection connection = await pool.OpenedAsync();
        pool.Server.Hold(Step.Statement, Step.Kill);
        Task<object?> running = connection.CreateCommand().ExecuteScalarAsync(leaves.Token);
        await pool.HeldAsync(Step.Statement);
        await leaves.CancelAsync();
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(running));
        Assert.Equal(leaves.Token, error.CancellationToken);
        Assert.Equal(ConnectionState.Closed, connection.State);
        connection.Close();
    });

    [Fact]
    public Task Execute_WhileAnotherIsUnderWay_IsRefusedInWords() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        pool.Server.Hold(Step.Statement);
        Task<int> running = connection.CreateCommand().ExecuteNonQueryAsync();
        FakeCall statement = await pool.HeldAsync(Step.Statement);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(
            () => connection.CreateCommand().ExecuteNonQueryAsync());
        Assert.Contains("already executes an operation", error.Message, StringComparison.Ordinal);
        pool.Server.Answer(Step.Statement);
        Assert.NotNull(statement);
        Assert.Equal(1, await pool.FinishAsync(running));
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Cancel_InFlight_EndsTheCallerAndKillsTheStatement(bool batched) => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        await using DbBatch batch = connection.CreateBatch();
        pool.Server.Hold(Step.Statement);
        Task<int> running = batched ? batch.ExecuteNonQueryAsync() : command.ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        if (batched) await Task.Run(batch.Cancel);
        else await Task.Run(command.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(running));

        // A kill ends only one statement of a script, so the session is closed.
        await pool.UntilAsync("recovered", c => c is { Used: 0, Closing: 0 });
        Assert.Equal(batched ? (0, 1) : (1, 0), (pool.Server.CallsOf(Step.Kill), pool.Server.CallsOf(Step.Close)));
    });

    [Fact]
    public Task Cancel_NothingInFlight_DoesNothing() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        command.Cancel();
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        command.Cancel();
        Assert.Equal(ConnectionState.Open, connection.State);
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task ExecuteReader_CloseConnection_ClosesTheWrapperWithTheReader(bool batched) =>
        PoolHarness.RunAsync(async pool =>
        {
            PooledConnection connection = await pool.OpenedAsync();
            await using DbCommand command = connection.CreateCommand();
            await using DbBatch batch = connection.CreateBatch();
            DbDataReader reader = batched
                ? await batch.ExecuteReaderAsync(CommandBehavior.CloseConnection)
                : await command.ExecuteReaderAsync(CommandBehavior.CloseConnection);
            await reader.ReadAsync();
            Assert.Equal(ConnectionState.Open, connection.State);
            await reader.DisposeAsync();
            Assert.Equal(ConnectionState.Closed, connection.State);
            await pool.UntilAsync("idle", c => c is { Used: 0, Idle: 1 });
        });

    [Fact]
    public Task Reader_ClosedEarly_NextStatementWaitsForTheRest() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        DbDataReader reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        pool.Server.Hold(Step.NextResult);
        reader.Dispose();
        reader.Dispose();
        Assert.True(reader.IsClosed);
        FakeCall skipping = await pool.HeldAsync(Step.NextResult);
        Task<int> next = command.ExecuteNonQueryAsync();
        Assert.False(next.IsCompleted);
        Assert.Throws<InvalidOperationException>(() => reader.GetInt32(0));
        pool.Server.AnswerNew(Step.NextResult);
        pool.Server.Finish(skipping, null);
        Assert.Equal(1, await pool.FinishAsync(next));
    });

    [Fact]
    public Task Read_BufferedRowsPastTheDeadline_EndsNevertheless() => PoolHarness.RunAsync(async pool =>
    {
        pool.Server.Rows = int.MaxValue;
        await using PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        await using DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
        await reader.ReadAsync();
        pool.Advance(50);
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            for (int i = 0; i < 100; i++) await reader.ReadAsync();
        });
        pool.Server.Rows = 2;
    });

    [Fact]
    public Task Synchronous_NotAllowed_ThrowsEverywhereAndSendsNothing() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        await using DbBatch batch = connection.CreateBatch();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        await using DbDataReader reader = await command.ExecuteReaderAsync();
        Action[] calls =
        [
            () => pool.Source.CreateConnection().Open(), () => pool.Source.OpenConnection(),
            () => command.ExecuteNonQuery(), () => command.ExecuteScalar(), () => command.ExecuteReader(),
            () => batch.ExecuteNonQuery(), () => batch.ExecuteScalar(), () => batch.ExecuteReader(),
            () => connection.BeginTransaction(),
            transaction.Commit, transaction.Rollback, () => connection.ChangeDatabase("other"),
        ];
        Assert.All(calls, call =>
        {
            var error = Assert.Throws<InvalidOperationException>(call);
            Assert.Contains("AllowSynchronous", error.Message, StringComparison.Ordinal);
        });
        Assert.Equal(1, pool.Server.CallsOf(Step.Statement));
    });

    [Fact]
    public Task Synchronous_Allowed_DoesTheSame() => PoolHarness.RunAsync(async pool =>
    {
        await Task.Run(() =>
        {
            using DbConnection connection = pool.Source.OpenConnection();
            connection.ChangeDatabase("other");
            Assert.Equal("other", connection.Database);
            using DbTransaction transaction = connection.BeginTransaction();
            using DbCommand command = connection.CreateCommand();
            Assert.Equal(1, command.ExecuteNonQuery());
            Assert.Equal(1, command.ExecuteScalar());
            using (DbDataReader reader = command.ExecuteReader())
            {
                Assert.True(reader.Read());
                Assert.True(reader.NextResult());
            }

            using DbBatch batch = connection.CreateBatch();
            Assert.Equal(1, batch.ExecuteNonQuery());
            transaction.Commit();
        });
        Assert.Equal(4, pool.Server.Applied.Count);
    }, o => o.AllowSynchronous = true);
}
