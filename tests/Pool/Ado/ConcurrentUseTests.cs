using System.Data;
using System.Data.Common;

using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

/// <summary>Two concurrent users of one connection, which is misuse: their own calls may fail, nobody else's
/// (INV-3).</summary>
public sealed class ConcurrentUseTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Execute_ClosedByAnotherAsItStarts_IsEndedBeforeTheSessionIsReset(bool isHeld) =>
        PoolHarness.RunAsync(async pool =>
        {
            PooledConnection connection = await pool.OpenedAsync();
            if (isHeld) pool.Server.Hold(Step.Statement);
            pool.Server.Executing = (_, _) =>
            {
                // The driver has the statement but has not sent it; the other user's close comes first.
                pool.Server.Executing = null;
                connection.Close();
                SpinWait.SpinUntil(
                    () => pool.Server.CallsOf(Step.Kill) + pool.Server.CallsOf(Step.Reset) > 0, PoolHarness.Patience);
                Assert.Equal(0, pool.Server.CallsOf(Step.Reset));
            };
            Task<int> running = connection.CreateCommand().ExecuteNonQueryAsync();
            if (isHeld)
            {
                // The close ends the wait for the statement at once.
                FakeCall statement = await pool.HeldAsync(Step.Statement);

                // The kill of the statement may come before the exception of the close.
                Exception error = await Assert.ThrowsAnyAsync<Exception>(() => pool.FinishAsync(running));
                Assert.True(error is InvalidOperationException or System.Data.Common.DbException, $"{error}");
                Assert.Equal(0, pool.Server.CallsOf(Step.Reset));
                pool.Server.Finish(statement, null);
            }
            else
            {
                Assert.Equal(1, await pool.FinishAsync(running));
            }

            await pool.UntilAsync("idle", c => c is { Used: 0, Idle: 1 });
            Assert.Equal(1, pool.Server.CallsOf(Step.Reset));
        });

    [Fact]
    public Task Use_WhileAnotherCloses_NeverReachesTheNextRenter() => PoolHarness.RunAsync(async pool =>
    {
        // A statement's text is the number of its rent; its session must belong to that rent, or to none yet.
        pool.Server.Rows = 100;
        pool.Server.Executing = (fake, text) =>
        {
            FakePhysicalConnection session = pool.Server.Connections[fake.Id - 1];
            long holder = session.RentId;
            if (holder != 0 && $"{holder}" != text)
                pool.Server.Violate($"a statement of rent {text} ran in rent {holder}");
            if (!session.Operation.IsInFlight) pool.Server.Violate("a statement ran without a claim");
        };
        for (int i = 0; i < 3000; i++)
        {
            PooledConnection connection = await pool.OpenedAsync();
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = $"{connection.Physical.RentId}";
            int arrived = 0, spins = i % 50;
            Task user = Task.Run(async () =>
            {
                Meet(ref arrived);
                try
                {
                    await using DbTransaction transaction = await connection.BeginTransactionAsync();
                    await command.ExecuteNonQueryAsync();
                    await using DbDataReader reader = await command.ExecuteReaderAsync();
                    while (await reader.ReadAsync())
                    {
                    }
                }
                catch (Exception error) when (error is InvalidOperationException or DbException)
                {
                    Assert.DoesNotContain("bug:", error.Message, StringComparison.Ordinal);
                }
            });
            Meet(ref arrived);
            Thread.SpinWait(spins * 20);
            connection.Close();
            await pool.FinishAsync(user);
        }

        pool.Server.Executing = null;
        pool.Server.Rows = 2;
        Assert.Equal(ConnectionState.Open, pool.Server.Connections[^1].Inner.State);
    });

    // Both tasks start together, so that they collide.
    private static void Meet(ref int arrived)
    {
        Interlocked.Increment(ref arrived);
        var spin = new SpinWait();
        while (Volatile.Read(ref arrived) < 2) spin.SpinOnce();
    }
}
