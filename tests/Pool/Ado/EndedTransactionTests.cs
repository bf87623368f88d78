using System.Data.Common;
using System.Transactions;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

/// <summary>When the pool asks whether a transaction has ended, and how it uses the answer.</summary>
public sealed class EndedTransactionTests
{
    [Fact]
    public Task Execute_NoErrorInTheTransaction_NothingIsAsked() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        foreach (string text in (string[])["INSERT a", "SELECT a; UPDATE a", "SAVEPOINT a"])
            await ExecuteAsync(connection, text);
        await transaction.CommitAsync();
        Assert.Equal(0, pool.Server.CallsOf(Step.Look) + pool.Server.CallsOf(Step.Mark));
    });

    [Theory]
    [InlineData(DriverFailure.Statement)]
    [InlineData(DriverFailure.RolledBack)]
    [InlineData(DriverFailure.Unclear)]
    public Task Execute_AfterAnError_AsksOnceAndSendsNothingWhenItIsOver(object kind) => PoolHarness.RunAsync(
        async pool =>
        {
            await using PooledConnection connection = await pool.OpenedAsync();
            await using DbTransaction transaction = await connection.BeginTransactionAsync();
            await ExecuteAsync(connection, "INSERT one");
            pool.Server.Fail(Step.Statement, (DriverFailure)kind, times: 1);
            await Assert.ThrowsAsync<FakeDbException>(() => ExecuteAsync(connection, "INSERT two"));
            Assert.Equal(0, pool.Server.CallsOf(Step.Look));
            bool isOver = (DriverFailure)kind == DriverFailure.RolledBack;
            for (int i = 0; i < 2; i++)
            {
                if (isOver) await EndedAsync(() => ExecuteAsync(connection, "INSERT three"), mayHaveCommitted: false);
                else await ExecuteAsync(connection, "INSERT three");
            }

            if (isOver) await EndedAsync(() => transaction.CommitAsync(), mayHaveCommitted: false);
            else await transaction.CommitAsync();
            Assert.Equal(1, pool.Server.CallsOf(Step.Look));
            Assert.Equal(isOver ? [] : ["INSERT one", "INSERT three", "INSERT three"], pool.Server.Applied);
        });

    [Fact]
    public Task Commit_ServerDoesNotAnswerTheQuestion_EndsByTheDeadlineAndNothingWasSent() => PoolHarness.RunAsync(
        async pool =>
        {
            await using PooledConnection connection = await pool.OpenedAsync(pool.In(50));
            await using DbTransaction transaction = await connection.BeginTransactionAsync();
            pool.Server.Fail(Step.Statement, DriverFailure.Statement, times: 1);
            await Assert.ThrowsAsync<FakeDbException>(() => ExecuteAsync(connection, "INSERT one"));
            pool.Server.Hold(Step.Look);
            Task commit = transaction.CommitAsync();
            FakeCall look = await pool.HeldAsync(Step.Look);
            pool.Advance(60);
            await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(commit));
            Assert.False(((PooledTransaction)transaction).MayHaveCommitted);
            pool.Server.Finish(look, null);
            pool.Server.Heal();
            Assert.Equal(0, pool.Server.CallsOf(Step.Commit));
        });

    [Fact]
    public Task Rollback_AfterAnError_IsSentWithoutAQuestion() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        pool.Server.Fail(Step.Statement, DriverFailure.RolledBack, times: 1);
        await Assert.ThrowsAsync<FakeDbException>(() => ExecuteAsync(connection, "INSERT one"));
        await transaction.RollbackAsync();
        Assert.Equal((0, 1), (pool.Server.CallsOf(Step.Look), pool.Server.CallsOf(Step.Rollback)));
        await ExecuteAsync(connection, "INSERT two");
        Assert.Equal(["INSERT two"], pool.Server.Applied);
    });

    [Fact]
    public Task Execute_StatementThatCommits_NothingMoreIsSent() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using var transaction = (PooledTransaction)await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, "INSERT one");
        await ExecuteAsync(connection, "CREATE x");
        Assert.True(transaction.MayHaveCommitted);
        await EndedAsync(() => ExecuteAsync(connection, "INSERT two"), mayHaveCommitted: true);
        await EndedAsync(() => transaction.CommitAsync(), mayHaveCommitted: true);
        await EndedAsync(() => transaction.RollbackAsync(), mayHaveCommitted: true);
        Assert.DoesNotContain("INSERT two", pool.Server.Applied);
    });

    [Fact]
    public Task Execute_StatementThatMightHaveCommittedAndHasNot_GoesOn() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using var transaction = (PooledTransaction)await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, "CALL one");
        await ExecuteAsync(connection, "INSERT two");
        Assert.False(transaction.MayHaveCommitted);
        await transaction.CommitAsync();
        Assert.Equal(["CALL one", "INSERT two"], pool.Server.Applied);
        Assert.Equal((1, 1), (pool.Server.CallsOf(Step.Mark), pool.Server.CallsOf(Step.TakeMark)));
    });

    [Fact]
    public Task Execute_ProcedureCutOff_MayHaveCommittedForGood() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        var transaction = (PooledTransaction)await connection.BeginTransactionAsync();
        pool.Server.Hold(Step.Statement);
        Task call = ExecuteAsync(connection, "CALL one");
        FakeCall held = await pool.HeldAsync(Step.Statement);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(call));
        pool.Server.Finish(held, null);
        pool.Server.Heal();
        await connection.DisposeAsync();
        await pool.UntilAsync("recovered", c => c.Used == 0 && c.Closing == 0);
        Assert.True(transaction.MayHaveCommitted);
    });

    [Fact]
    public Task Open_InATransactionScope_SaysThatItIsNotSupported() => PoolHarness.RunAsync(async pool =>
    {
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var connection = (PooledConnection)pool.Source.CreateConnection();
            var error = await Assert.ThrowsAsync<NotSupportedException>(() => connection.OpenAsync());
            Assert.Contains("TransactionScope", error.Message, StringComparison.Ordinal);
        }

        await using DbConnection after = await pool.Source.OpenConnectionAsync();
    });

    private static async Task EndedAsync(Func<Task> operation, bool mayHaveCommitted) => Assert.Equal(
        mayHaveCommitted, (await Assert.ThrowsAsync<TransactionEndedException>(operation)).MayHaveCommitted);

    private static async Task ExecuteAsync(PooledConnection connection, string text)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync();
    }
}
