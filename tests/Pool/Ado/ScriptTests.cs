using System.Data;
using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

public sealed class ScriptTests
{
    [Theory]
    [InlineData("UPDATE t SET v = 1", ScriptKind.Single)]
    [InlineData(" UPDATE t SET v = 1 ;\n", ScriptKind.Single)]
    [InlineData("INSERT INTO t VALUES (@v); SELECT LAST_INSERT_ID()", ScriptKind.SingleAndId)]
    [InlineData("INSERT INTO t VALUES (@v);\nselect last_insert_id();", ScriptKind.SingleAndId)]
    [InlineData("INSERT INTO t VALUES (@v); SELECT LAST_INSERT_ID() FROM t", ScriptKind.Several)]
    [InlineData("UPDATE t SET v = 1; UPDATE t SET v = 2; SELECT LAST_INSERT_ID()", ScriptKind.Several)]
    [InlineData("UPDATE t SET v = 'a;b'", ScriptKind.Several)]
    [InlineData("SET sql_mode = 'STRICT_ALL_TABLES'; UPDATE t SET v = 1", ScriptKind.Single)]
    [InlineData("SET sql_mode = @m; INSERT INTO t VALUES (@v); SELECT LAST_INSERT_ID()", ScriptKind.SingleAndId)]
    [InlineData("SET sql_mode = @m; UPDATE t SET v = 1; UPDATE t SET v = 2", ScriptKind.Several)]
    [InlineData("SET GLOBAL x = 1; UPDATE t SET v = 1", ScriptKind.Several)]
    [InlineData("call p()", ScriptKind.Several)]
    public void Of_Text_KnowsOneStatementForCertainOnly(string text, object kind)
    {
        Assert.Equal((ScriptKind)kind, Script.Of(text, CommandType.Text));
        Assert.Equal(ScriptKind.Several, Script.Of(text, CommandType.StoredProcedure));
    }

    [Theory]
    [InlineData("one", false, FailureKind.StatementFailed)]
    [InlineData("one; two", false, FailureKind.OutcomeUnknown)]
    [InlineData("one; two", true, FailureKind.StatementFailed)]
    [InlineData("one; SELECT LAST_INSERT_ID()", false, FailureKind.StatementFailed)]
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

                // The driver's own exception, because its type and number are what callers look at.
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
