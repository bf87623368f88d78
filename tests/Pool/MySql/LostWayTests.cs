using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Connections are lost between the pool and a real server that answers all others.</summary>
public sealed class LostWayTests : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private TcpRelay _relay = null!;
    private MySqlPoolFixture _fixture = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await (await MariaDb.SharedAsync()).CreateDatabaseAsync();
        var settings = new MySqlConnectionStringBuilder(_database.ConnectionString);
        _relay = TcpRelay.Start((int)settings.Port);
        settings.Server = "127.0.0.1";
        settings.Port = (uint)_relay.Port;
        _fixture = new MySqlPoolFixture(settings.ConnectionString);
    }

    public async ValueTask DisposeAsync()
    {
        await _fixture.DisposeAsync();
        await _relay.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Open_LostOnItsWay_CostsOnePermitAndNobodyElseWaits()
    {
        PooledDataSource pool = _fixture.CreatePool(o =>
        {
            o.MaxConnections = 4;
            o.OpenTimeout = o.DrainTimeout = o.RecoveryTimeout = TimeSpan.FromMilliseconds(500);
        });
        await using DbConnection first = await pool.OpenConnectionAsync();
        _relay.Swallow(1);
        await using DbConnection second = await pool.OpenConnectionAsync();
        await using DbConnection third = await pool.OpenConnectionAsync();
        await UntilAsync(pool, _ => _fixture.Log.Contains(" 1008 ", StringComparison.Ordinal), 5, "the note");
        Assert.True(pool.Health.IsHealthy);
        Assert.Equal(1, pool.Snapshot().Opening);
        Assert.Equal(1, await ScalarAsync(third, "SELECT 1"));
    }
}
