using System.Data;
using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

/// <summary>After a connection is closed or severed, no object made from it can reach the session.</summary>
public sealed class ClosedConnectionTests
{
    [Theory]
    [InlineData("close")]
    [InlineData("dispose")]
    [InlineData("sever")]
    public Task AfterTheEnd_NothingMadeFromIt_TouchesTheSession(string how) => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync(pool.In(1000));
        DbCommand command = connection.CreateCommand();
        DbBatch batch = connection.CreateBatch();
        DbTransaction transaction = await connection.BeginTransactionAsync();
        DbDataReader reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        switch (how)
        {
            case "close":
                connection.Close();
                break;
            case "dispose":
                await connection.DisposeAsync();
                break;
            default:
                pool.Server.Hold(Step.Row);
                Task<bool> read = reader.ReadAsync();
                await pool.HeldAsync(Step.Row);
                pool.Advance(1010);
                await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(read));
                pool.Server.Answer(Step.Row);
                break;
        }

        // The session has its next renter, which any access would disturb.
        RentOutcome next = await pool.FinishAsync(pool.Rent());
        int[] calls = Calls(pool);
        Assert.Equal(ConnectionState.Closed, connection.State);
        Assert.Equal("db", connection.Database);
        await RefusedAsync(() => command.ExecuteNonQueryAsync());
        await RefusedAsync(() => command.ExecuteScalarAsync());
        await RefusedAsync(() => command.ExecuteReaderAsync());
        await RefusedAsync(() => batch.ExecuteNonQueryAsync());
        await RefusedAsync(() => batch.ExecuteScalarAsync());
        await RefusedAsync(() => batch.ExecuteReaderAsync());
        await RefusedAsync(() => reader.ReadAsync());
        await RefusedAsync(() => reader.NextResultAsync());
        await RefusedAsync(() => Task.FromResult(reader.GetInt32(0)));
        await RefusedAsync(() => Task.FromResult(reader[0]));
        await RefusedAsync(() => Task.FromResult(reader.FieldCount));
        await RefusedAsync(() => transaction.CommitAsync());
        await RefusedAsync(() => transaction.RollbackAsync());
        await RefusedAsync(() => transaction.SaveAsync("s"));
        await RefusedAsync(() => connection.BeginTransactionAsync().AsTask());
        await RefusedAsync(() => connection.ChangeDatabaseAsync("other"));
        await RefusedAsync(() => Task.FromResult(connection.Unwrap<FakeDbConnection>()));
        await RefusedAsync(() => Task.FromResult(connection.ServerVersion));
        command.Cancel();
        batch.Cancel();
        await reader.DisposeAsync();
        await transaction.DisposeAsync();
        await connection.DisposeAsync();
        connection.Close();

        Assert.Equal(calls, Calls(pool));
        Assert.Equal(next.RentId, next.Connection!.RentId);
        pool.Return(next);
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Close_StatementInFlight_EndsItsCallerAtOnce() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        pool.Server.Hold(Step.Statement);
        Task<int> running = connection.CreateCommand().ExecuteNonQueryAsync();
        FakeCall statement = await pool.HeldAsync(Step.Statement);
        await Task.Run(connection.Close);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => pool.FinishAsync(running));
        Assert.Contains("closed", error.Message, StringComparison.Ordinal);
        Assert.NotNull(statement);
        await pool.UntilAsync("idle", c => c is { Used: 0, Idle: 1 });
    });

    [Fact]
    public Task Close_FromManyThreads_ReturnsOnce() => PoolHarness.RunAsync(async pool =>
    {
        for (int i = 0; i < 200; i++)
        {
            PooledConnection connection = await pool.OpenedAsync();
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(connection.Close)));
            await pool.UntilAsync("one idle", c => c is { Used: 0, Idle: 1 });
        }

        Assert.Equal(200, pool.Pool.Snapshot().Rented);
    });

    [Fact]
    public Task OpenAsync_AfterClose_RentsAnew() => PoolHarness.RunAsync(async pool =>
    {
        DbConnection connection = pool.Source.CreateConnection();
        Assert.Equal(ConnectionState.Closed, connection.State);
        for (int i = 0; i < 3; i++)
        {
            await connection.OpenAsync();
            Assert.Equal(ConnectionState.Open, connection.State);
            await Assert.ThrowsAsync<InvalidOperationException>(() => connection.OpenAsync());
            await connection.CloseAsync();
        }

        await connection.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => connection.OpenAsync());
        Assert.Equal(3, pool.Pool.Snapshot().Rented);
    });

    [Fact]
    public Task OpenAsync_AfterSever_SaysWhatHappened() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        pool.Server.Hold(Step.Statement);
        Task<int> running = connection.CreateCommand().ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(running));

        // Dapper opens a closed connection: it would continue half-done work on another session.
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => connection.OpenAsync());
        Assert.Contains("severed (Deadline)", error.Message, StringComparison.Ordinal);
        connection.Close();
    });

    [Fact]
    public Task OpenAsync_Refused_ThrowsTheRefusal() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection held = await pool.OpenedAsync();
        await using DbConnection connection = pool.Source.CreateConnection();
        Task open = connection.OpenAsync();
        pool.Advance(410);
        var error = await Assert.ThrowsAsync<RentRefusedException>(() => pool.FinishAsync(open));
        Assert.Equal(RefusalReason.TimedOut, error.Reason);
        Assert.True(error.IsTransient);
        Assert.StartsWith(
            "Pool 'users': no connection within 400 ms (permits 1,", error.Message, StringComparison.Ordinal);
        held.Close();

        // The connection object can be used again.
        await connection.OpenAsync();
        await connection.CloseAsync();
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task Unwrap_Connection_IsDiscardedOnReturn() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        Assert.Throws<InvalidOperationException>(() => connection.Unwrap<PooledConnection>());
        FakeDbConnection inner = connection.Unwrap<FakeDbConnection>();
        Assert.Equal(ConnectionState.Open, inner.State);
        await connection.DisposeAsync();
        await pool.UntilAsync("closed", c => c is { Used: 0, Idle: 0, Closing: 0 });
        Assert.Equal(ConnectionState.Closed, inner.State);
        Assert.Equal(1, pool.Pool.Snapshot().Closed["discarded"]);
    });

    [Fact]
    public Task Wrappers_OfOtherPools_AreRefused() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        await using DbBatch batch = connection.CreateBatch();
        using var foreign = new FakeDbConnection(pool.Server, 99);
        Assert.Throws<InvalidCastException>(() => command.Connection = foreign);
        Assert.Throws<InvalidCastException>(() => batch.Connection = foreign);
        Assert.Throws<InvalidOperationException>(() => connection.ConnectionString = "Server=x");
        connection.ConnectionString = connection.ConnectionString;
        using DbConnection closed = pool.Source.CreateConnection();
        Assert.Throws<NotSupportedException>(() => closed.ConnectionString = "Server=x");
        command.Connection = null;
        await Assert.ThrowsAsync<InvalidOperationException>(() => command.ExecuteNonQueryAsync());
    });

    [Fact]
    public Task ConnectionString_HoldsNoCredential() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        Assert.Equal(pool.Server.ConnectionString, connection.ConnectionString);
        Assert.Equal(pool.Server.ConnectionString, pool.Source.ConnectionString);
        Assert.Equal("db", connection.Database);
    });

    private static int[] Calls(PoolHarness pool) => [.. Enum.GetValues<Step>().Select(pool.Server.CallsOf)];

    // ObjectDisposedException is an InvalidOperationException.
    private static async Task RefusedAsync(Func<Task> touch) =>
        await Assert.ThrowsAnyAsync<InvalidOperationException>(touch);
}
