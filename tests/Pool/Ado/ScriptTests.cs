using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

public sealed class ScriptTests
{
    [Theory]
    [InlineData("UPDATE one", false, FailureKind.StatementFailed)]
    [InlineData("/* a */ CALL one", false, FailureKind.OutcomeUnknown)]
    [InlineData("UPDATE one; UPDATE two", false, FailureKind.OutcomeUnknown)]
    [InlineData("UPDATE one; UPDATE two", true, FailureKind.StatementFailed)]
    [InlineData("UPDATE one; SELECT LAST_INSERT_ID()", false, FailureKind.StatementFailed)]
    public Task Execute_StatementOfItFails_SaysNoMoreThanIsCertain(
        string text, bool isInTransaction, FailureKind means) =>
        PoolHarness.RunAsync(async pool =>
        {
            await using PooledConnection connection = await pool.OpenedAsync();
            if (isInTransaction) await connection.BeginTransactionAsync();
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = text;
            Func<Task>[] ways =
            [
                () => command.ExecuteNonQueryAsync(), () => command.ExecuteScalarAsync(),
                () => command.ExecuteReaderAsync(),
            ];
            foreach (Func<Task> way in ways)
            {
                pool.Server.Fail(Step.Statement, DriverFailure.Statement, times: 1);

                // The driver's own exception, because callers read its type and number.
                var error = await Assert.ThrowsAsync<FakeDbException>(way);
                Assert.Equal(means, pool.Source.Classify(error));
            }
        });

    [Fact]
    public Task Read_LaterResultFails_SaysNoMoreThanIsCertain() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "one; two";
        await using DbDataReader reader = await command.ExecuteReaderAsync();
        pool.Server.Fail(Step.NextResult, DriverFailure.Statement, times: 1);
        var error = await Assert.ThrowsAsync<FakeDbException>(() => reader.NextResultAsync());
        Assert.Equal(FailureKind.OutcomeUnknown, pool.Source.Classify(error));
    });
}
