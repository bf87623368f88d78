using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

public sealed class TransactionTests
{
    [Fact]
    public Task CommitAsync_Answered_IsDurableAndTheConnectionGoesOn() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using (DbTransaction transaction = await connection.BeginTransactionAsync())
        {
            await ExecuteAsync(connection, "one");
            Assert.Empty(pool.Server.Applied);
            await transaction.CommitAsync();
        }

        await ExecuteAsync(connection, "two");
        Assert.Equal(["one", "two"], pool.Server.Applied);
        Assert.Equal(0, pool.Server.CallsOf(Step.Rollback));
    });

    [Theory]
    [InlineData("deadline")]
    [InlineData("token")]
    [InlineData("close")]
    [InlineData("drain")]
    [InlineData("lost")]
    public Task CommitAsync_AnswerNotSeen_IsOutcomeUnknown(string how) => PoolHarness.RunAsync(async pool =>
    {
        using var leaves = new CancellationTokenSource();
        PooledConnection connection = await pool.OpenedAsync(how == "deadline" ? pool.In(50) : default);
        DbTransaction transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, "maybe");
        pool.Server.Hold(Step.Commit);
        Task commit = transaction.CommitAsync(leaves.Token);
        FakeCall held = await pool.HeldAsync(Step.Commit);
        Task<bool>? drain = null;
        switch (how)
        {
            case "deadline": pool.Advance(60); break;
            case "token": await leaves.CancelAsync(); break;
            case "close": connection.Close(); break;
            case "drain":
                pool.IsDrained = true;
                drain = pool.Source.DrainAsync(TimeSpan.Zero);
                break;
            case "lost": pool.Server.Connections[0].Die(); break;
        }

        var error = await Assert.ThrowsAsync<OutcomeUnknownException>(() => pool.FinishAsync(commit));
        Assert.Equal(FailureKind.OutcomeUnknown, pool.Source.Classify(error));
        pool.Server.Finish(held, null);
        pool.Server.Heal();
        await connection.DisposeAsync();
        if (drain is not null) Assert.True(await pool.FinishAsync(drain));
    });

    [Fact]
    public Task CommitAsync_ServerSaysNo_IsItsErrorAndCanBeRolledBack() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        pool.Server.Fail(Step.Commit, DriverFailure.Statement, times: 1);
        var error = await Assert.ThrowsAsync<FakeDbException>(() => transaction.CommitAsync());
        Assert.Equal(FailureKind.StatementFailed, pool.Source.Classify(error));

        await transaction.RollbackAsync();
        await ExecuteAsync(connection, "after");
        Assert.Equal(["after"], pool.Server.Applied);
    });

    [Fact]
    public Task CommitAsync_ServersAnswerLeavesItOpen_IsOutcomeUnknown() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        pool.Server.Fail(Step.Commit, DriverFailure.Unclear, times: 1);
        var error = await Assert.ThrowsAsync<OutcomeUnknownException>(() => transaction.CommitAsync());
        Assert.Contains("leaves open", error.Message, StringComparison.Ordinal);
        Assert.IsType<FakeDbException>(error.InnerException);
    });

    [Fact]
    public Task CommitAsync_ServerSaysNoAndTheRenterLeaves_NextRenterFindsNoTransaction() =>
        PoolHarness.RunAsync(async pool =>
        {
            PooledConnection connection = await pool.OpenedAsync();
            DbTransaction transaction = await connection.BeginTransactionAsync();
            pool.Server.Fail(Step.Commit, DriverFailure.Statement, times: 1);
            await Assert.ThrowsAsync<FakeDbException>(() => transaction.CommitAsync());
            connection.Close();

            await using PooledConnection next = await pool.OpenedAsync();
            await ExecuteAsync(next, "after");
            Assert.Equal(1, pool.Pool.Snapshot().Opened);
        }, o => o.MaxConnections = 1);

    [Fact]
    public Task CommitAsync_SeveredAndInterrupted_NextRenterFindsNoTransaction() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        DbTransaction transaction = await connection.BeginTransactionAsync();
        pool.Server.Hold(Step.Commit);
        Task commit = transaction.CommitAsync();
        await pool.HeldAsync(Step.Commit);
        pool.Advance(60);
        await Assert.ThrowsAsync<OutcomeUnknownException>(() => pool.FinishAsync(commit));

        await using PooledConnection next = await pool.OpenedAsync();
        await ExecuteAsync(next, "after");
        Assert.Equal(1, pool.Server.CallsOf(Step.Kill));
    }, o => o.MaxConnections = 1);

    [Fact]
    public Task CommitAsync_DeadlinePassedBefore_IsNotSentAndNotUnknown() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        DbTransaction transaction = await connection.BeginTransactionAsync();
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => transaction.CommitAsync());
        Assert.Equal(0, pool.Server.CallsOf(Step.Commit));
        connection.Close();
    });

    [Theory]
    [InlineData(Step.Begin)]
    [InlineData(Step.Commit)]
    [InlineData(Step.Rollback)]
    [InlineData(Step.ChangeDatabase)]
    public Task NoDeadline_ServerHangs_EndsAtStatementTimeout(Step step) => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        DbTransaction? transaction =
            step is Step.Commit or Step.Rollback ? await connection.BeginTransactionAsync() : null;
        pool.Server.Hold(step);
        Task running = step switch
        {
            Step.Begin => connection.BeginTransactionAsync().AsTask(),
            Step.Commit => transaction!.CommitAsync(),
            Step.Rollback => transaction!.RollbackAsync(),
            _ => connection.ChangeDatabaseAsync("other"),
        };
        await pool.HeldAsync(step);
        pool.Advance(30_020);
        await Assert.ThrowsAnyAsync<DbException>(() => pool.FinishAsync(running));
    });

    [Fact]
    public Task Dispose_NotCommitted_RollsBackOnce() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        DbTransaction transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, "lost");
        await transaction.DisposeAsync();
        await transaction.DisposeAsync();
        transaction.Dispose();
        await ExecuteAsync(connection, "kept");
        Assert.Equal(["kept"], pool.Server.Applied);
        Assert.Equal(1, pool.Server.CallsOf(Step.Rollback));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => transaction.CommitAsync());
    });

    [Fact]
    public Task Dispose_ServerHangs_DoesNotWaitAndTheNextStatementDoes() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        DbTransaction transaction = await connection.BeginTransactionAsync();
        pool.Server.Hold(Step.Rollback);
        Assert.True(transaction.DisposeAsync().AsTask().IsCompleted);
        FakeCall rollback = await pool.HeldAsync(Step.Rollback);
        Task next = ExecuteAsync(connection, "kept");
        Assert.Equal(0, pool.Server.CallsOf(Step.Statement));
        pool.Server.Finish(rollback, null);
        await pool.FinishAsync(next);
        Assert.Equal(["kept"], pool.Server.Applied);
    });

    [Fact]
    public Task Dispose_AfterAReaderThatWasNotReadOut_IsRolledBackBeforeTheNextStatement() =>
        PoolHarness.RunAsync(async pool =>
        {
            await using PooledConnection connection = await pool.OpenedAsync();
            await using (DbTransaction transaction = await connection.BeginTransactionAsync())
            {
                await using DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync();
                await reader.ReadAsync();
            }

            // In the old transaction it would be acknowledged now and lost at the return (INV-9).
            await ExecuteAsync(connection, "kept");
            Assert.Contains("kept", pool.Server.Applied);
        });

    [Fact]
    public Task Dispose_RollbackFails_TheNextStatementDoesNotRunInTheOldTransaction() =>
        PoolHarness.RunAsync(async pool =>
        {
            await using PooledConnection connection = await pool.OpenedAsync();
            DbTransaction transaction = await connection.BeginTransactionAsync();
            pool.Server.Fail(Step.Rollback, DriverFailure.Statement, times: 1);
            await transaction.DisposeAsync();
            await Assert.ThrowsAnyAsync<Exception>(() => ExecuteAsync(connection, "lost"));
            Assert.DoesNotContain("lost", pool.Server.Applied);
        });

    [Fact]
    public Task Dispose_RolledBackByTheRenterBefore_IsNotHeldAgainstTheNext() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        await (await connection.BeginTransactionAsync()).DisposeAsync();
        connection.Close();

        // Unread rows that cannot be skipped do not make the rollback fail: the next statement works.
        await using PooledConnection next = await pool.OpenedAsync();
        DbDataReader reader = await next.CreateCommand().ExecuteReaderAsync();
        await reader.ReadAsync();
        pool.Server.Fail(Step.NextResult, DriverFailure.Statement, times: 1);
        await reader.DisposeAsync();
        await ExecuteAsync(next, "after");
    }, o => o.MaxConnections = 1);

    [Theory]
    [InlineData(DriverFailure.Statement, true)]
    [InlineData(DriverFailure.RolledBack, true)]
    [InlineData(DriverFailure.RolledBack, false)]
    public Task Reader_UnreadRowsEndWithAnError_NextOperationHearsItAndNothingIsCommitted(object kind, bool commits) =>
        PoolHarness.RunAsync(async pool =>
        {
            PooledConnection connection = await pool.OpenedAsync();
            DbTransaction? transaction = commits ? await connection.BeginTransactionAsync() : null;
            await ExecuteAsync(connection, "before");
            await using (DbDataReader reader = await connection.CreateCommand().ExecuteReaderAsync())
            {
                await reader.ReadAsync();
                pool.Server.Fail(Step.NextResult, (DriverFailure)kind, times: 1);
            }

            // If sent, the server would execute it, although the transaction has ended (INV-9).
            var error = await Assert.ThrowsAsync<FakeDbException>(
                () => commits ? transaction!.CommitAsync() : ExecuteAsync(connection, "after"));
            Assert.Equal(FailureKind.StatementFailed, pool.Source.Classify(error));
            Assert.Equal(0, pool.Server.CallsOf(Step.Commit));
            Assert.DoesNotContain("after", pool.Server.Applied);
            Assert.Equal(System.Data.ConnectionState.Closed, connection.State);
            await pool.UntilAsync("idle again", c => c.Idle == 1);
            Assert.Equal(1, pool.Pool.Snapshot().Opened);
        });

    [Fact]
    public Task BeginTransactionAsync_Twice_SaysThatTheyDoNotNest() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await connection.BeginTransactionAsync());
        await transaction.CommitAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => transaction.CommitAsync());
        await Assert.ThrowsAsync<InvalidOperationException>(() => transaction.RollbackAsync());
        await Assert.ThrowsAsync<InvalidOperationException>(() => transaction.SaveAsync("s"));
    });

    [Fact]
    public Task Transaction_OfAnotherConnection_IsRefused() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection one = await pool.OpenedAsync();
        await using PooledConnection two = await pool.OpenedAsync();
        await using DbTransaction transaction = await one.BeginTransactionAsync();
        await using DbCommand command = two.CreateCommand();
        command.Transaction = transaction;
        await Assert.ThrowsAsync<InvalidOperationException>(() => command.ExecuteNonQueryAsync());
    });

    private static async Task ExecuteAsync(PooledConnection connection, string text)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync();
    }
}
