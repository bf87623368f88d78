using System.Data.Common;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

namespace UPool.Tests.MySql;

/// <summary>Beyond loopback the server must prove its identity, unless the connection string says otherwise.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class TlsTests
{
    private const string Other = "elsewhere.example";

    [Theory]
    [InlineData("Server=127.0.0.1", MySqlSslMode.Preferred)]
    [InlineData("Server=127.9.9.9", MySqlSslMode.Preferred)]
    [InlineData("Server=::1", MySqlSslMode.Preferred)]
    [InlineData("Server=LocalHost", MySqlSslMode.Preferred)]
    [InlineData("Server=/run/mysqld/mysqld.sock;Protocol=unix", MySqlSslMode.Preferred)]
    [InlineData("Server=db", MySqlSslMode.VerifyFull)]
    [InlineData("Server=localhost.example", MySqlSslMode.VerifyFull)]
    [InlineData("Server=10.0.0.5", MySqlSslMode.VerifyFull)]
    [InlineData("Server=2001:db8::5", MySqlSslMode.VerifyFull)]
    [InlineData("Server=db;SslMode=None", MySqlSslMode.None)]
    [InlineData("Server=db;SSL Mode=Preferred", MySqlSslMode.Preferred)]
    [InlineData("Server=127.0.0.1;SslMode=VerifyFull", MySqlSslMode.VerifyFull)]
    public void Derive_Server_DecidesTheModeUnlessItIsGiven(string server, MySqlSslMode expected) =>
        Assert.Equal(expected, MySqlSettings.Derive($"{server};Database=d", new PoolOptions()).SslMode);

    [Fact]
    public async Task Open_AuthorityKnown_IsEncryptedWithoutBeingAskedFor()
    {
        using var certificates = new TestCertificates(Environment.MachineName);
        await using DatabaseServer server = await StartAsync(certificates.ServerArguments);

        string settings = ByName(server) + $";SslCa={certificates.Authority}";
        await using var control = new ControlConnections(settings);
        await using PooledDataSource pool = MySqlPool.Create(settings, Patient(), control);
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
        await using DbDataReader reader = await command.ExecuteReaderAsync();

        Assert.True(await reader.ReadAsync());
        Assert.NotEmpty(reader.GetString(1));
    }

    [Fact]
    public async Task Open_AuthorityUnknown_IsRefusedAndSaysSo()
    {
        using var certificates = new TestCertificates(Environment.MachineName);
        await using DatabaseServer server = await StartAsync(certificates.ServerArguments);

        await RefusesAsync(ByName(server), server, "an authority that is not known here");
    }

    [Fact]
    public async Task Open_CertificateForAnotherName_IsRefusedAndSaysSo()
    {
        using var certificates = new TestCertificates(Other);
        await using DatabaseServer server = await StartAsync(certificates.ServerArguments);

        string settings = ByName(server) + $";SslCa={certificates.Authority}";
        await RefusesAsync(settings, server, "a certificate for another name");
    }

    [Fact]
    public async Task Open_ServerWithoutTls_IsRefusedAndSaysSo()
    {
        await using DatabaseServer server = await StartAsync([ServerFamily.Tested.WithoutTls]);

        await RefusesAsync(ByName(server), server, "offers no TLS");
    }

    [Fact]
    public async Task Open_AuthorityFileMissing_IsRefusedAndSaysSo()
    {
        using var certificates = new TestCertificates(Environment.MachineName);
        await using DatabaseServer server = await StartAsync(certificates.ServerArguments);

        await RefusesAsync(ByName(server) + ";SslCa=/nowhere/ca.crt", server, "the file of SslCa");
    }

    [Fact]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MySql)]
    public async Task Open_OnMySqlPasswordWithoutTls_IsRefusedAndSaysHowItMaySend()
    {
        await using DatabaseServer server = await StartAsync([]);
        await using (var root = new MySqlConnection(server.RootConnectionString))
        {
            await root.OpenAsync();
            await using MySqlCommand command = root.CreateCommand();
            command.CommandText = $"CREATE USER fresh IDENTIFIED BY '{server.Password}'";
            await command.ExecuteNonQueryAsync();
        }

        string settings = ByName(server) + ";User ID=fresh;SslMode=None;ServerRsaPublicKeyFile=/nowhere/key.pem";
        await RefusesAsync(settings, server, "accepts the password of this account only over TLS");
    }

    [Fact]
    public void Explain_LogInOfAnUnknownKind_SaysSo() =>
        Assert.Contains(
            "a method that the driver does not support",
            MySqlErrors.Explain(new NotSupportedException("You must install the package"), "MySQL at db:3306/d"),
            StringComparison.Ordinal);

    // Long, because the first TLS handshake of a process is slow on a busy machine.
    private static PoolOptions Patient() => new() { RentTimeout = TimeSpan.FromSeconds(30) };

    private static Task<DatabaseServer> StartAsync(string[] arguments) =>
        DatabaseServer.StartNewAsync(["--bind-address=0.0.0.0", .. arguments]);

    private static string ByName(DatabaseServer server) =>
        new MySqlConnectionStringBuilder(server.ConnectionString()) { Server = Environment.MachineName }
            .ConnectionString;

    private static async Task RefusesAsync(string settings, DatabaseServer server, string problem)
    {
        await using var control = new ControlConnections(settings);
        await using PooledDataSource pool = MySqlPool.Create(settings, Patient(), control);
        RentResult rent = await pool.RentAsync();

        Assert.Equal(RefusalReason.Unavailable, rent.Refusal);
        Assert.Contains(problem, rent.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Password, rent.Message, StringComparison.Ordinal);
    }
}
