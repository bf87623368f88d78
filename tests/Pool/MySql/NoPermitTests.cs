using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>A server without room for another session is full, not broken.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class NoPermitTests
{
    [Theory]
    [InlineData(1226, "ALTER USER upool@'%' WITH MAX_USER_CONNECTIONS 3")]
    [InlineData(1203, "SET GLOBAL max_user_connections = 3")]
    [InlineData(1040, "SET GLOBAL max_connections = 10")]
    public async Task Rent_ServerHasNoRoom_IsRefusedAsNoPermitsAndTheRestGoesOn(int error, string limit)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync("--max-user-connections=100");
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        await using MySqlConnection root = await fixture.ObserveAsync(server.RootConnectionString);
        PooledDataSource pool = fixture.CreatePool(o => o.MaxConnections = 12);

        // Then the account has four sessions, two of them control connections: more than the limit set below.
        List<DbConnection> held = [];
        for (int i = 0; i < 2; i++) held.Add(await pool.OpenConnectionAsync());
        await using (DbConnection storage = await fixture.Control.Storage.OpenConnectionAsync())
            await ExecuteAsync(storage, "SELECT 1");
        await fixture.Control.KillLane.KillStatementAsync(default);
        await ExecuteAsync(root, limit);
        List<MySqlConnection> others = [];
        while (error == 1040 && others.Count < 5) others.Add(await fixture.ObserveAsync(server.RootConnectionString));

        RentResult refused = await pool.RentAsync();
        Assert.Equal(RefusalReason.NoPermits, refused.Refusal);
        Assert.Contains($"(error {error})", refused.Message, StringComparison.Ordinal);
        Assert.Contains($"(error {error})", pool.Health.Problem, StringComparison.Ordinal);
        foreach (DbConnection connection in held) Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));

        // Returned connections serve pending rents; with room again, the pool grows on its own.
        Task<RentResult> waits = pool.RentAsync().AsTask();
        await held[0].DisposeAsync();
        held[0] = (await waits).GetConnectionOrThrow();
        foreach (MySqlConnection other in others) await other.DisposeAsync();
        await ExecuteAsync(root, error switch
        {
            1226 => "ALTER USER upool@'%' WITH MAX_USER_CONNECTIONS 0",
            1203 => "SET GLOBAL max_user_connections = 100",
            _ => "SET GLOBAL max_connections = 100",
        });
        await UntilAsync(pool, _ => pool.Health.IsHealthy, what: "room again");
        held.Add(await pool.OpenConnectionAsync());
        Assert.Equal(3, pool.Snapshot().Used);
        foreach (DbConnection connection in held) await connection.DisposeAsync();
    }
}
