using System.Data;
using System.Data.Common;

using UPool.Tests.Fakes;

namespace UPool.Tests.Ado;

/// <summary>The properties of a connection that ADO.NET libraries read.</summary>
public sealed class SurfaceTests
{
    [Fact]
    public Task StateChange_OpenAndClose_IsRaisedOnceEach() => PoolHarness.RunAsync(async pool =>
    {
        await using DbConnection connection = pool.Source.CreateConnection();
        List<(ConnectionState, ConnectionState)> changes = Watch(connection);
        for (int i = 0; i < 2; i++)
        {
            await connection.OpenAsync();
            await connection.CloseAsync();
            await connection.CloseAsync();
        }

        await connection.DisposeAsync();
        Assert.Equal(
            [
                (ConnectionState.Closed, ConnectionState.Open), (ConnectionState.Open, ConnectionState.Closed),
                (ConnectionState.Closed, ConnectionState.Open), (ConnectionState.Open, ConnectionState.Closed),
            ],
            changes);
    });

    [Fact]
    public Task StateChange_SeveredAtTheDeadline_IsClosedOnce() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync(pool.In(50));
        List<(ConnectionState, ConnectionState)> changes = Watch(connection);
        pool.Server.Hold(Step.Statement);
        Task<int> running = connection.CreateCommand().ExecuteNonQueryAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(60);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(running));
        connection.Close();
        Assert.Equal([(ConnectionState.Open, ConnectionState.Closed)], changes);
    });

    [Fact]
    public Task State_SessionLost_IsBrokenUntilTheClose() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        List<(ConnectionState, ConnectionState)> changes = Watch(connection);
        pool.Server.Connections[0].Fake.Die();
        await Assert.ThrowsAsync<FakeDbException>(() => connection.CreateCommand().ExecuteNonQueryAsync());
        Assert.Equal(ConnectionState.Broken, connection.State);
        connection.Close();
        Assert.Equal(ConnectionState.Closed, connection.State);
        Assert.Equal(
            [(ConnectionState.Open, ConnectionState.Broken), (ConnectionState.Broken, ConnectionState.Closed)],
            changes);
    });

    [Fact]
    public Task StateChange_HandlerThrowsAtTheClose_ThePermitIsBack() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        connection.StateChange += (_, _) => throw new InvalidOperationException("a handler's own");
        Assert.Throws<InvalidOperationException>(connection.Close);
        await pool.UntilAsync("idle", c => c is { Used: 0, Idle: 1 });
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Transaction_Ended_HasNoConnection(bool commits) => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        Assert.Same(connection, transaction.Connection);
        await (commits ? transaction.CommitAsync() : transaction.RollbackAsync());
        Assert.Null(transaction.Connection);
    });

    [Fact]
    public Task GetFactory_OfAConnection_MakesObjectsOfThePool() => PoolHarness.RunAsync(async pool =>
    {
        await using PooledConnection connection = await pool.OpenedAsync();
        DbProviderFactory factory = Assert.IsType<PooledProviderFactory>(DbProviderFactories.GetFactory(connection));
        Assert.Same(pool.Source.Factory, factory);
        await using DbConnection other = factory.CreateConnection()!;
        Assert.IsType<PooledConnection>(other);
        await using DbCommand command = factory.CreateCommand()!;
        Assert.Null(command.Connection);
        await Assert.ThrowsAsync<InvalidOperationException>(() => command.ExecuteNonQueryAsync());
        command.Cancel();
        command.Connection = connection;
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        Assert.True(factory is { CanCreateBatch: true, CanCreateCommandBuilder: true, CanCreateDataAdapter: true });
        Assert.False(factory.CanCreateDataSourceEnumerator);
        Assert.NotNull(factory.CreateParameter());
        Assert.NotNull(factory.CreateConnectionStringBuilder());
        Assert.NotNull(factory.CreateDataAdapter());
        Assert.NotNull(factory.CreateBatchCommand());
        using DbBatch batch = factory.CreateBatch();
        batch.Connection = connection;
        Assert.Equal(1, await batch.ExecuteNonQueryAsync());
        using DbCommandBuilder builder = factory.CreateCommandBuilder()!;
        Assert.Equal("`a``b`", builder.QuoteIdentifier("a`b"));
        Assert.Equal("a`b", builder.UnquoteIdentifier("`a``b`"));
    });

    [Fact]
    public Task EnlistTransaction_OfNothing_DoesNothing() => PoolHarness.RunAsync(async pool =>
    {
        PooledConnection connection = await pool.OpenedAsync();
        connection.EnlistTransaction(null);
        using (var ambient = new System.Transactions.CommittableTransaction())
            Assert.Throws<NotSupportedException>(() => connection.EnlistTransaction(ambient));
        await connection.CloseAsync();
        Assert.Throws<InvalidOperationException>(() => connection.EnlistTransaction(null));
    });

    private static List<(ConnectionState, ConnectionState)> Watch(DbConnection connection)
    {
        List<(ConnectionState, ConnectionState)> changes = [];
        connection.StateChange += (sender, change) =>
        {
            Assert.Same(connection, sender);
            changes.Add((change.OriginalState, change.CurrentState));
        };
        return changes;
    }
}
