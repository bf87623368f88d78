using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

namespace UPool.Tests.MySql;

/// <summary>A refused login reports the reason in plain text.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class AccountTests
{
    [Theory]
    [InlineData("ACCOUNT LOCK", "has the account locked")]
    [InlineData("REQUIRE SSL", "or without the TLS that it requires")]
    public Task Open_AccountNotLetIn_SaysWhy(string account, string expected) =>
        RefusesAsync("", account, expected);

    // MariaDB accepts the login of an account with an expired password, and returns 1045 to one without its required
    // TLS.
    [Theory]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MySql)]
    [InlineData("", "PASSWORD EXPIRE", "its password has expired")]
    [InlineData("SET GLOBAL require_secure_transport = ON", "", "accepts connections over TLS only")]
    [InlineData("SET GLOBAL offline_mode = ON", "", "is in offline mode")]
    public Task Open_OnMySqlNotLetIn_SaysWhy(string setting, string account, string expected) =>
        RefusesAsync(setting, account, expected);

    private static async Task RefusesAsync(string setting, string account, string expected)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using (var root = new MySqlConnection(server.RootConnectionString))
        {
            await root.OpenAsync();
            await using MySqlCommand command = root.CreateCommand();
            command.CommandText =
                $"CREATE USER fresh IDENTIFIED BY '{server.Password}' {account}; "
                + $"GRANT SELECT ON upool.* TO fresh; {setting}";
            await command.ExecuteNonQueryAsync();
        }

        string settings = server.ConnectionString() + ";User ID=fresh;SslMode=None";
        await using var control = new ControlConnections(settings);
        await using PooledDataSource pool = MySqlPool.Create(
            settings, new PoolOptions { RentTimeout = TimeSpan.FromSeconds(30) }, control);
        RentResult rent = await pool.RentAsync();

        Assert.Equal(RefusalReason.Unavailable, rent.Refusal);
        Assert.Contains(expected, rent.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Password, rent.Message, StringComparison.Ordinal);
    }
}
