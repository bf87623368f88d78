using System.Data.Common;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

namespace UPool.Tests.MySql;

/// <summary>A server that has not proved its identity receives nothing about the account, even if it can verify the
/// account's password.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class ServerProofTests(ServerProofTests.Trusted trusted) : IClassFixture<ServerProofTests.Trusted>
{
    private const string Here = "127.0.0.1";
    private const string Other = "elsewhere.example";
    private const string UnknownAuthority = "an authority that is not known here";
    private const string RunOut = "has expired or is not valid yet";

    [Theory]
    [InlineData(MySqlSslMode.VerifyFull)]
    [InlineData(MySqlSslMode.VerifyCA)]
    public Task Open_AuthorityKnown_IsEncrypted(MySqlSslMode mode) =>
        OpensAsync(Settings(trusted.Server, mode, trusted.Authority), encrypted: true);

    [Fact]
    public async Task Open_CertificateOfAnAuthorityBetween_IsEncrypted()
    {
        using TestCertificates certificates = TestCertificates.ThroughAnother(Here);
        await OpensAsync(certificates, MySqlSslMode.VerifyFull, encrypted: true);
    }

    [Fact]
    public async Task Open_VerifyCaAndAnotherName_IsEncrypted()
    {
        using var certificates = new TestCertificates(Other);
        await OpensAsync(certificates, MySqlSslMode.VerifyCA, encrypted: true);
    }

    [Theory]
    [InlineData(MySqlSslMode.Required)]
    [InlineData(MySqlSslMode.Preferred)]
    public async Task Open_ProofNotAskedFor_IsEncryptedAll(MySqlSslMode mode)
    {
        using TestCertificates certificates = TestCertificates.RunOut(Other);
        await OpensAsync(certificates, mode, encrypted: true);
    }

    [Fact]
    public async Task Open_AnotherName_IsRefused()
    {
        using var certificates = new TestCertificates(Other);
        await RefusesAsync(certificates, MySqlSslMode.VerifyFull, certificates.Authority, "for another name");
    }

    [Theory]
    [InlineData(MySqlSslMode.VerifyFull)]
    [InlineData(MySqlSslMode.VerifyCA)]
    public Task Open_AuthorityNotNamed_IsRefused(MySqlSslMode mode) =>
        RefusesAsync(Settings(trusted.Server, mode, authority: ""), UnknownAuthority, trusted.Server.Password);

    [Theory]
    [InlineData(MySqlSslMode.VerifyFull)]
    [InlineData(MySqlSslMode.VerifyCA)]
    public async Task Open_AnotherAuthority_IsRefused(MySqlSslMode mode)
    {
        using var others = new TestCertificates(Here);
        await RefusesAsync(
            Settings(trusted.Server, mode, others.Authority), UnknownAuthority, trusted.Server.Password);
    }

    [Theory]
    [InlineData(MySqlSslMode.VerifyFull)]
    [InlineData(MySqlSslMode.VerifyCA)]
    public async Task Open_CertificateRunOut_IsRefused(MySqlSslMode mode)
    {
        using TestCertificates certificates = TestCertificates.RunOut(Here);
        await RefusesAsync(certificates, mode, certificates.Authority, RunOut);
    }

    [Fact]
    public async Task Open_CertificateOfTomorrow_IsRefused()
    {
        using TestCertificates certificates = TestCertificates.NotBegun(Here);
        await RefusesAsync(certificates, MySqlSslMode.VerifyFull, certificates.Authority, RunOut);
    }

    [Fact]
    public async Task Open_CertificateForAClient_IsRefused()
    {
        using TestCertificates certificates = TestCertificates.ForAClient(Here);
        await RefusesAsync(
            certificates, MySqlSslMode.VerifyFull, certificates.Authority, "that is not for use by a server");
    }

    [Fact]
    public async Task Open_AccountWithoutAPassword_IsRefusedAlike()
    {
        DatabaseServer server = trusted.Server;
        await ExecuteAsync(server, "CREATE USER 'bare'@'%'; GRANT SELECT ON upool.* TO 'bare'@'%'");
        MySqlConnectionStringBuilder settings = Settings(server, MySqlSslMode.VerifyFull, authority: "");
        settings.UserID = "bare";
        settings.Password = "";

        await RefusesAsync(settings, UnknownAuthority, server.Password);

        settings.SslCa = trusted.Authority;
        await OpensAsync(settings, encrypted: true);
    }

    [Fact]
    public async Task Storage_AuthorityNotNamed_IsRefused()
    {
        await using var control = new ControlConnections(
            Settings(trusted.Server, MySqlSslMode.VerifyFull, authority: "").ConnectionString);

        await Assert.ThrowsAsync<RentRefusedException>(async () => await control.Storage.OpenConnectionAsync());

        Assert.False(control.Health.IsHealthy);
        Assert.Contains(UnknownAuthority, control.Health.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_CertificateMadeGood_OpensWithoutARestart()
    {
        using var wrong = new TestCertificates(Here);
        string authority = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        File.Copy(wrong.Authority, authority);
        try
        {
            string settings = Settings(trusted.Server, MySqlSslMode.VerifyFull, authority).ConnectionString;
            await using var control = new ControlConnections(settings);
            await using PooledDataSource pool = Pool(settings, control);
            RentResult refused = await pool.RentAsync();
            Assert.Equal(RefusalReason.Unavailable, refused.Refusal);

            File.Copy(trusted.Authority, authority, overwrite: true);

            await using DbConnection connection = await OpensInTimeAsync(pool);
        }
        finally
        {
            File.Delete(authority);
        }
    }

    [Theory]
    [InlineData(MySqlSslMode.VerifyFull)]
    [InlineData(MySqlSslMode.VerifyCA)]
    public async Task Open_Stranger_HearsNothingOfTheAccount(MySqlSslMode mode)
    {
        using var certificates = new TestCertificates(Here);
        using var others = new TestCertificates(Here);
        await using var stranger = new StrangerServer(others);
        var settings = new MySqlConnectionStringBuilder
        {
            Server = Here,
            Port = stranger.Port,
            UserID = "upool",
            Password = "never seen",
            Database = "upool",
            SslMode = mode,
            SslCa = certificates.Authority,
        };

        Task refused = RefusesAsync(settings, UnknownAuthority, settings.Password);

        Assert.Empty(await stranger.HeardAsync());
        await refused;
    }

    [Theory]
    [InlineData("SslCert=/nowhere/client.crt;SslKey=/nowhere/client.key")]
    [InlineData("Certificate File=/nowhere/client.pfx")]
    public async Task Open_OwnCertificateMissing_SaysSo(string option)
    {
        string settings = Settings(trusted.Server, MySqlSslMode.VerifyFull, trusted.Authority).ConnectionString;

        await RefusesAsync(
            new MySqlConnectionStringBuilder($"{settings};{option}"),
            "this process's own certificate", trusted.Server.Password);
    }

    private static async Task OpensAsync(TestCertificates certificates, MySqlSslMode mode, bool encrypted)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(certificates.ServerArguments);
        await OpensAsync(Settings(server, mode, certificates.Authority), encrypted);
    }

    private static async Task OpensAsync(MySqlConnectionStringBuilder settings, bool encrypted)
    {
        await using var control = new ControlConnections(settings.ConnectionString);
        await using PooledDataSource pool = Pool(settings.ConnectionString, control);
        await using DbConnection connection = await OpensInTimeAsync(pool);
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
        await using DbDataReader reader = await command.ExecuteReaderAsync();

        Assert.True(await reader.ReadAsync());
        Assert.Equal(encrypted, reader.GetString(1).Length > 0);
    }

    private static async Task RefusesAsync(
        TestCertificates certificates, MySqlSslMode mode, string authority, string problem)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(certificates.ServerArguments);
        await RefusesAsync(Settings(server, mode, authority), problem, server.Password);
    }

    private static async Task RefusesAsync(MySqlConnectionStringBuilder settings, string problem, string password)
    {
        await using var control = new ControlConnections(settings.ConnectionString);
        await using PooledDataSource pool = Pool(settings.ConnectionString, control);
        RentResult rent;
        using var giveUp = new CancellationTokenSource(TimeSpan.FromSeconds(30));

        // The first TLS handshakes of a process may take longer on a busy machine than an open may.
        do rent = await pool.RentAsync(cancellationToken: giveUp.Token);
        while (rent.Message.Contains("has not answered an open", StringComparison.Ordinal));

        Assert.Equal(RefusalReason.Unavailable, rent.Refusal);
        Assert.Contains(problem, rent.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(password, rent.Message, StringComparison.Ordinal);
    }

    // Long, because the first TLS handshake of a process is slow on a busy machine.
    private static PooledDataSource Pool(string settings, ControlConnections control) =>
        MySqlPool.Create(settings, new PoolOptions { RentTimeout = TimeSpan.FromSeconds(30) }, control);

    private static async Task<DbConnection> OpensInTimeAsync(PooledDataSource pool)
    {
        using var giveUp = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            RentResult rent = await pool.RentAsync(cancellationToken: giveUp.Token);
            if (rent.Refusal != RefusalReason.Unavailable) return rent.GetConnectionOrThrow();

            await Task.Delay(TimeSpan.FromMilliseconds(20), giveUp.Token);
        }
    }

    private static MySqlConnectionStringBuilder Settings(DatabaseServer server, MySqlSslMode mode, string authority) =>
        new(server.ConnectionString()) { Server = Here, SslMode = mode, SslCa = authority };

    private static async Task ExecuteAsync(DatabaseServer server, string statements)
    {
        await using var root = new MySqlConnection(server.RootConnectionString);
        await root.OpenAsync();
        await using MySqlCommand command = root.CreateCommand();
        command.CommandText = statements;
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>One server with a certificate of a known authority, for the tests that need no other
    /// certificate.</summary>
    public sealed class Trusted : IAsyncLifetime
    {
        private readonly TestCertificates _certificates = new(Here);

        public DatabaseServer Server { get; private set; } = null!;

        public string Authority => _certificates.Authority;

        public async ValueTask InitializeAsync() =>
            Server = await DatabaseServer.StartNewAsync(_certificates.ServerArguments);

        public async ValueTask DisposeAsync()
        {
            await Server.DisposeAsync();
            _certificates.Dispose();
        }
    }
}
