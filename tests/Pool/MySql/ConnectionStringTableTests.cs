using System.ComponentModel;
using System.Data.Common;
using System.Reflection;

using MySqlConnector;

using UPool.MySql;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Every option of the driver's connection string: passed on, overridden, or rejected at the start.</summary>
public sealed class ConnectionStringTableTests : OnSharedServer
{
    private const string Given = "Server=db1;User ID=me;Password=s3cret;Database=shop;";

    private static readonly PropertyInfo[] DriversOwn =
    [
        .. typeof(MySqlConnectionStringBuilder)
            .GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            .Where(static property => property.GetIndexParameters().Length == 0 && property.Name != "Keys"),
    ];

    // A non-default value for each option.
    private static readonly Dictionary<string, string> Other = new(StringComparer.Ordinal)
    {
        ["Server"] = "db2",
        ["Port"] = "3307",
        ["UserID"] = "you",
        ["Password"] = "other",
        ["Database"] = "stock",
        ["LoadBalance"] = "Random",
        ["ConnectionProtocol"] = "Pipe",
        ["PipeName"] = "other",
        ["SslMode"] = "None",
        ["CertificateFile"] = "/c.pfx",
        ["CertificatePassword"] = "s3cret-too",
        ["CertificateStoreLocation"] = "CurrentUser",
        ["CertificateThumbprint"] = "abc",
        ["SslCert"] = "/c.pem",
        ["SslKey"] = "/k.pem",
        ["CACertificateFile"] = "/ca.pem",
        ["SslCa"] = "/ca.pem",
        ["SkipCertificateRevocationCheck"] = "true",
        ["TlsVersion"] = "TLS 1.3",
        ["TlsCipherSuites"] = "TLS_AES_128_GCM_SHA256",
        ["Pooling"] = "true",
        ["ConnectionLifeTime"] = "1",
        ["ConnectionReset"] = "false",
        ["DeferConnectionReset"] = "false",
        ["ConnectionIdlePingTime"] = "1",
        ["ConnectionIdleTimeout"] = "1",
        ["MinimumPoolSize"] = "50",
        ["MaximumPoolSize"] = "2",
        ["DnsCheckInterval"] = "1",
        ["AllowLoadLocalInfile"] = "true",
        ["AllowPublicKeyRetrieval"] = "true",
        ["AllowUserVariables"] = "false",
        ["AllowZeroDateTime"] = "true",
        ["ApplicationName"] = "mine",
        ["AutoEnlist"] = "true",
        ["CancellationTimeout"] = "7",
        ["CharacterSet"] = "latin1",
        ["ConnectionTimeout"] = "1",
        ["ConvertZeroDateTime"] = "true",
        ["DateTimeKind"] = "Utc",
        ["DefaultCommandTimeout"] = "1",
        ["ForceSynchronous"] = "true",
        ["GuidFormat"] = "Binary16",
        ["IgnoreCommandTransaction"] = "true",
        ["IgnorePrepare"] = "false",
        ["InteractiveSession"] = "true",
        ["Keepalive"] = "60",
        ["NoBackslashEscapes"] = "true",
        ["OldGuids"] = "true",
        ["PersistSecurityInfo"] = "true",
        ["Pipelining"] = "false",
        ["ServerRedirectionMode"] = "Preferred",
        ["ServerRsaPublicKeyFile"] = "/rsa.pem",
        ["ServerSPN"] = "mysql/db",
        ["TreatTinyAsBoolean"] = "false",
        ["UseAffectedRows"] = "true",
        ["UseCompression"] = "true",
        ["UseXaTransactions"] = "true",
    };

    // Options that must keep their default.
    private static readonly string[] DefaultOnly = ["LoadBalance", "ConnectionProtocol", "ServerRedirectionMode"];

    public static TheoryData<string> EveryOption =>
        [.. ConnectionStringTable.All.Select(static option => option.Property)];

    [Fact]
    public void Table_EveryOptionOfTheDriver_IsInItOnce()
    {
        Assert.Equal(
            DriversOwn.Select(static property => property.Name).Order(StringComparer.Ordinal),
            ConnectionStringTable.All.Select(static option => option.Property).Order(StringComparer.Ordinal));
        Assert.Equal(Other.Keys.Order(), ConnectionStringTable.All.Select(static option => option.Property).Order());
    }

    [Fact]
    public void Table_EveryOptionOfTheDriver_IsInTheDocument()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "uPool.sln"))) folder = Path.GetDirectoryName(folder)!;
        string[] rows = File.ReadAllLines(Path.Combine(folder, "docs", "operating", "configuration.md"));
        Assert.All(DriversOwn, property => Assert.Contains(
            rows, row => row.StartsWith('|') && row.Contains($"`{NameOf(property)}`", StringComparison.Ordinal)));
    }

    [Theory]
    [MemberData(nameof(EveryOption))]
    public void Derive_OptionSet_BecomesWhatTheTableSays(string name)
    {
        ConnectionOption option = ConnectionStringTable.All.Single(one => one.Property == name);
        PropertyInfo property = DriversOwn.Single(one => one.Name == name);
        string given = $"{Given}{NameOf(property)}={Other[name]}";
        if (DefaultOnly.Contains(name))
        {
            Assert.Throws<ArgumentException>(() => MySqlSettings.Derive(given, new PoolOptions()));
            return;
        }

        object? derived = property.GetValue(MySqlSettings.Derive(given, new PoolOptions()));
        object? asGiven = property.GetValue(new MySqlConnectionStringBuilder(given));
        if (option.Use != OptionUse.SetBack) Assert.Equal(asGiven, derived);
        else
        {
            Assert.Equal(property.GetValue(MySqlSettings.Derive(Given, new PoolOptions())), derived);
            Assert.NotEqual(asGiven, derived);
        }
    }

    [Fact]
    public void Derive_NothingSet_IsCompletedByThePool()
    {
        MySqlConnectionStringBuilder derived = MySqlSettings.Derive(Given, new PoolOptions { Name = "users" });
        Assert.Equal(MySqlSslMode.VerifyFull, derived.SslMode);
        Assert.Equal(10u, derived.Keepalive);
        Assert.True(derived.AllowUserVariables);
        Assert.StartsWith("upool/users@", derived.ApplicationName, StringComparison.Ordinal);
        Assert.Equal(0u, derived.ConnectionTimeout);
        Assert.Equal(-1, derived.CancellationTimeout);
        Assert.Equal(32u, derived.DefaultCommandTimeout);
        Assert.Equal(
            MySqlSslMode.Preferred, MySqlSettings.Derive(Given + "Server=127.0.0.1", new PoolOptions()).SslMode);
    }

    [Theory]
    [InlineData("Server=", "names no Server")]
    [InlineData("Server=a,b", "several servers")]
    [InlineData("Load Balance=FailOver", "several servers")]
    [InlineData("Database=", "names no Database")]
    [InlineData("Port=0", "Port of 1 to 65535")]
    [InlineData("Port=65536", "Port of 1 to 65535")]
    [InlineData("Port=-1", "for 'port'")]
    [InlineData("Port=x", "for 'port'")]
    [InlineData("Connection Protocol=Pipe", "named pipe")]
    [InlineData("Protocol=SharedMemory", "shared memory")]
    [InlineData("Protocol=Unix", "is no path")]
    [InlineData("Keep Alive=32768", "Keep Alive above")]
    [InlineData("Keepalive=99999999999", "for 'keepalive'")]
    [InlineData("Old Guids=true;GUID Format=Char36", "Old Guids")]
    [InlineData("Server Redirection Mode=Required", "Server Redirection Mode")]
    [InlineData("TLS Cipher Suites=nonsense", "TLS Cipher Suites")]
    [InlineData("TLS Version=SSL 3", "for 'tls version'")]
    [InlineData("GUID Format=nonsense", "for 'guid format'")]
    [InlineData("SslMode=Sometimes", "for 'sslmode'")]
    [InlineData("Cancellation Timeout=-2", "for 'cancellation timeout'")]
    [InlineData("Pooling=perhaps", "for 'pooling'")]
    [InlineData("half of a s3cret=x", "cannot be read")]
    [InlineData("Password=\"s3cret", "cannot be read")]
    public void Problem_ValueThatNoSessionCouldBeOpenedWith_IsNamedWithoutIt(string option, string words)
    {
        string? problem = MySqlPool.Problem(Given + option);
        Assert.NotNull(problem);
        Assert.Contains(words, problem, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("s3cret", problem, StringComparison.Ordinal);
        Assert.DoesNotContain("nonsense", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_EveryOptionSetBackToTheWorst_OpensAndKeepsTheDeadline()
    {
        string[] worst =
        [
            .. ConnectionStringTable.All.Where(static option => option.Use == OptionUse.SetBack)
                .Select(static option => $"{NameOf(option.Property)}={Other[option.Property]}"),
        ];
        await using MySqlPoolFixture fixture = With(string.Join(';', worst));
        PooledDataSource pool = fixture.CreatePool();
        await using PooledConnection connection =
            (await pool.RentAsync(Deadline.After(TimeSpan.FromSeconds(1)))).GetConnectionOrThrow();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT SLEEP(20)";
        Task<object?> running = command.ExecuteScalarAsync();

        // The call must not block this thread.
        Assert.False(running.IsCompleted);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => running);
        await UntilAsync(pool, s => s is { Used: 0, Closing: 0, Idle: 1 });
    }

    [Theory]
    [InlineData("Use Compression=true;Pipelining=false;Interactive=true;Character Set=latin1;Keep Alive=32767")]
    [InlineData("No Backslash Escapes=false;Allow Load Local Infile=true;Allow Public Key Retrieval=true")]
    [InlineData("Old Guids=true;Treat Tiny As Boolean=false;Allow Zero DateTime=true;Convert Zero DateTime=true")]
    [InlineData("DateTime Kind=Utc;Use Affected Rows=true;Server SPN=mysql/db;Persist Security Info=true")]
    public async Task Open_OptionsOfTheApplication_TakeEffectAfterAResetToo(string options)
    {
        await using MySqlPoolFixture fixture = With(options);
        PooledDataSource pool = fixture.CreatePool(o => o.MaxConnections = 1);
        for (int i = 0; i < 3; i++)
        {
            await using DbConnection connection = await pool.OpenConnectionAsync();
            Assert.Equal("a\\b'c", await TextAsync(connection, "SELECT 'a\\\\b''c'"));
        }

        await UntilAsync(pool, s => s.Idle == 1);
        Assert.Equal(1, pool.Snapshot().Opened);
    }

    [Fact]
    public async Task Open_TypesOptions_ReadAsTheDriverDoes()
    {
        await using MySqlPoolFixture fixture =
            With("GUID Format=Binary16;Treat Tiny As Boolean=false;DateTime Kind=Utc");
        await using DbConnection connection = await fixture.CreatePool().OpenConnectionAsync();
        await ExecuteAsync(connection, "CREATE TABLE v (g BINARY(16), b TINYINT(1), d DATETIME)");
        await ExecuteAsync(
            connection, "INSERT INTO v VALUES (X'00112233445566778899AABBCCDDEEFF', 1, '2026-01-02 03:04:05')");
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT g, b, d FROM v";
        await using DbDataReader reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        Assert.Equal(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"), reader.GetValue(0));
        Assert.Equal((sbyte)1, reader.GetValue(1));
        Assert.Equal(DateTimeKind.Utc, reader.GetDateTime(2).Kind);
    }

    private MySqlPoolFixture With(string options) => new($"{Fixture.ConnectionString};{options}");

    private static string NameOf(string property) => NameOf(DriversOwn.Single(one => one.Name == property));

    private static string NameOf(PropertyInfo property) =>
        property.GetCustomAttribute<DisplayNameAttribute>()!.DisplayName;
}
