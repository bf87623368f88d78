using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Each kind of failure closes nothing, its session, or the whole generation.</summary>
public sealed class FailureTests
{
    [Theory]
    [InlineData(DriverFailure.Statement, FailureKind.StatementFailed, 0, 0)]
    [InlineData(DriverFailure.RolledBack, FailureKind.StatementFailed, 0, 0)]
    [InlineData(DriverFailure.Unclear, FailureKind.OutcomeUnknown, 0, 0)]
    [InlineData(DriverFailure.NotTaken, FailureKind.StatementFailed, 1, 0)]
    [InlineData(DriverFailure.SessionLost, FailureKind.ConnectionLost, 1, 0)]
    [InlineData(DriverFailure.NoPermit, FailureKind.Unavailable, 1, 0)]
    [InlineData(DriverFailure.WrongServer, FailureKind.StatementFailed, 1, 2)]
    [InlineData(DriverFailure.Connection, FailureKind.ConnectionLost, 1, 2)]
    public Task Execute_Fails_CostsWhatItIsOf(object failure, FailureKind means, int own, int neighbours) =>
        PoolHarness.RunAsync(async pool =>
        {
            PooledConnection[] open = [await pool.OpenedAsync(), await pool.OpenedAsync(), await pool.OpenedAsync()];
            open[1].Close();
            open[2].Close();
            await pool.UntilAsync("idle", c => c.Idle == 2);
            pool.Server.Fail(Step.Statement, (DriverFailure)failure, times: 1);
            await using (DbCommand command = open[0].CreateCommand())
            {
                command.CommandText = "UPDATE one";
                var error = await Assert.ThrowsAsync<FakeDbException>(() => command.ExecuteNonQueryAsync());
                Assert.Equal(means, pool.Source.Classify(error));
                Assert.Equal(means, pool.Source.Classify(new InvalidOperationException("own", error)));
            }

            open[0].Close();
            await pool.UntilAsync(
                "recovered", c => c is { Used: 0, Closing: 0, Opening: 0 } && c.Idle == 3 - own - neighbours);
            Assert.Equal(own + neighbours, pool.Server.CallsOf(Step.Close));
        }, o => o.MaxConnections = 3);
}
