using System.Data.Common;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>A permit is free only after the server has dropped the session (INV-1), as each server family shows
/// it.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class GoneTests
{
    private const int Permits = 4;

    // Enough rows for a rollback that can be observed on the server.
    private const int Rows = 10_000;

    [Fact]
    public async Task Sessions_ReplacedWithManyRowsUncommitted_NeverExceedThePermits()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        PooledDataSource pool = fixture.CreatePool(o =>
        {
            o.MaxConnections = Permits;
            o.RentTimeout = o.DrainTimeout = TimeSpan.FromMinutes(1);
        });
        await using MySqlConnection observer = await fixture.ObserveAsync(server.RootConnectionString);
        await ExecuteAsync(
            observer, "CREATE TABLE upool.t (id INT AUTO_INCREMENT PRIMARY KEY, v CHAR(200)) ENGINE = InnoDB");
        await Task.WhenAll(Enumerable.Range(0, 2 * Permits).Select(async _ =>
        {
            for (int i = 0; i < 2; i++)
            {
                await using PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
                connection.Unwrap<MySqlConnection>();
                await ExecuteAsync(connection, "BEGIN");
                await using DbCommand fill = connection.CreateCommand();
                fill.CommandText = $"INSERT INTO t (v) SELECT 'x' FROM {Sql.Sequence(Rows)}";
                Assert.Equal(Rows, await fill.ExecuteNonQueryAsync());
            }
        }));

        Assert.True(pool.Snapshot().Opened >= 4 * Permits);
        long most = long.Parse((await MySqlPoolTests.StatusAsync(observer, "Max_used_connections"))!);
        Assert.InRange(most, Permits, Permits + ControlConnections.MaxConnections + 1);
        Assert.Equal(0, await ScalarAsync(observer, "SELECT COUNT(*) FROM upool.t"));
    }
}
