using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>After a failover the old address may lead to a server that is read-only (error 1290).</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class FailoverTests
{
    [Fact]
    public async Task Write_ServerBecameReadOnly_FailsTypedAndAllConnectionsAreReplaced()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        PooledDataSource pool = fixture.CreatePool(o => o.MaxConnections = 3);
        await using MySqlConnection root = await fixture.ObserveAsync(server.RootConnectionString);
        List<DbConnection> held = [];
        for (int i = 0; i < 3; i++) held.Add(await pool.OpenConnectionAsync());
        await ExecuteAsync(held[0], "CREATE TABLE t (id INT)");
        foreach (DbConnection connection in held) await connection.DisposeAsync();
        await UntilAsync(pool, s => s.Idle == 3);

        await ExecuteAsync(root, "SET GLOBAL read_only = 1");
        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            var error =
                await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, "INSERT INTO t VALUES (1)"));
            Assert.Equal(1290, error.Number);
            Assert.Equal(FailureKind.StatementFailed, pool.Classify(error));
        }

        // A new name resolution may lead to the primary, so every connection to the old server is closed.
        await UntilAsync(pool, s => s.Closed["discarded"] + s.Closed["cleared"] == 3, what: "three closed");
        await ExecuteAsync(root, "SET GLOBAL read_only = 0");
        await using DbConnection next = await pool.OpenConnectionAsync();
        await ExecuteAsync(next, "INSERT INTO t VALUES (1)");
        Assert.Equal(1, await ScalarAsync(next, "SELECT COUNT(*) FROM t"));
    }

    [Fact]
    public async Task Write_ServerDefaultsToNoAutocommit_IsCommittedAllTheSame()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync("--autocommit=0");
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        PooledDataSource pool = fixture.CreatePool(o => o.MaxConnections = 1);
        await using (DbConnection connection = await pool.OpenConnectionAsync())
            await ExecuteAsync(connection, "CREATE TABLE t (id INT)");
        for (int i = 1; i <= 2; i++)
        {
            // The first rent of a new session, and one after a reset.
            await using (DbConnection connection = await pool.OpenConnectionAsync())
                await ExecuteAsync(connection, "INSERT INTO t VALUES (1)");
            await UntilAsync(pool, s => s.Idle == 1);
            await using MySqlConnection observer = await fixture.ObserveAsync();
            Assert.Equal(i, await ScalarAsync(observer, "SELECT COUNT(*) FROM t"));
            pool.Clear();
        }
    }
}
