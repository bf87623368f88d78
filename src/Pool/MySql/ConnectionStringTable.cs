using System.Globalization;
using System.Net;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// All options of the driver's connection string. Each is passed on, set back or refused. One test fails if an option
/// of the driver is missing here, another if it is missing in docs/operating/configuration.md.
/// </summary>
internal static class ConnectionStringTable
{
    private const string OfThePool = "uPool replaces the driver's pool and has its own options.";
    private const string OfTheTypes = "The application decides how values are read and written.";
    private const string OfTls = "The operator decides how TLS is used.";

    private static readonly ConnectionOption[] Options =
    [
        Passed("Server", "The one server that is asked whether sessions are gone.") with
        {
            Refuse = ConnectionStringRefusals.OfServer,
        },
        Passed("Port", "The server's port.") with
        {
            Refuse = ConnectionStringRefusals.OfPort,
        },
        Passed("UserID", "Never shown."),
        Passed("Password", "Never shown."),
        Passed("Database", "A reset returns to it.") with
        {
            Refuse = ConnectionStringRefusals.OfDatabase,
        },
        Passed("LoadBalance", "Several servers are refused.") with
        {
            Refuse = ConnectionStringRefusals.OfLoadBalance,
        },
        Passed("ConnectionProtocol", "TCP, or a Unix socket, over which no session can be killed.") with
        {
            Refuse = ConnectionStringRefusals.OfProtocol,
        },
        SetBack("PipeName", "Named pipes are refused.", static (b, _) => b.PipeName = "MYSQL"),

        // Beyond this machine a third party may intercept the connection, so the server must prove its identity unless
        // the user opts out. The driver's own default accepts an unverified certificate, and a connection without TLS.
        Completed("SslMode", "Beyond this machine VerifyFull.", static (b, _) =>
        {
            if (!b.ContainsKey("SSL Mode") && !IsOnThisMachine(b)) b.SslMode = MySqlSslMode.VerifyFull;
        }),
        Passed("CertificateFile", OfTls),
        Passed("CertificatePassword", "Never shown."),
        Passed("CertificateStoreLocation", OfTls),
        Passed("CertificateThumbprint", OfTls),
        Passed("SslCert", OfTls),
        Passed("SslKey", OfTls),
        Passed("CACertificateFile", OfTls),
        Passed("SslCa", OfTls),
        Passed("SkipCertificateRevocationCheck", OfTls),
        Passed("TlsVersion", OfTls),
        Passed("TlsCipherSuites", OfTls) with { Refuse = ConnectionStringRefusals.OfCipherSuites },

        SetBack("Pooling", OfThePool, static (b, _) => b.Pooling = false),
        SetBack("ConnectionLifeTime", OfThePool, static (b, _) => b.ConnectionLifeTime = 0),
        SetBack("ConnectionReset", OfThePool, static (b, _) => b.ConnectionReset = true),
        Passed("DeferConnectionReset", "No effect: the driver no longer supports it."),
        Passed("ConnectionIdlePingTime", "No effect: the driver no longer supports it."),
        SetBack("ConnectionIdleTimeout", OfThePool, static (b, _) => b.ConnectionIdleTimeout = 180),
        SetBack("MinimumPoolSize", OfThePool, static (b, _) => b.MinimumPoolSize = 0),
        SetBack("MaximumPoolSize", OfThePool, static (b, _) => b.MaximumPoolSize = 100),
        SetBack(
            "DnsCheckInterval", "It clears the driver's pool, which is not used.",
            static (b, _) => b.DnsCheckInterval = 0),

        Passed("AllowLoadLocalInfile", "The application decides; the server must allow it, too."),
        Passed("AllowPublicKeyRetrieval", "The operator decides how the account logs in."),
        Completed("AllowUserVariables", "True: users of Dapper expect @variables to work.", static (b, _) =>
        {
            if (!b.ContainsKey("Allow User Variables")) b.AllowUserVariables = true;
        }),
        Passed("AllowZeroDateTime", OfTheTypes),
        Completed("ApplicationName", "Pool, machine and process, for the server's views and log.", NameSessions),
        SetBack(
            "AutoEnlist", "An ambient transaction would be spread over several sessions.",
            static (b, _) => b.AutoEnlist = false),

        // At its timeout the driver then closes the socket at once. Its own KILL would block the canceller and open a
        // session that no permit covers.
        SetBack(
            "CancellationTimeout", "The pool ends statements; the driver only closes the socket.",
            static (b, _) => b.CancellationTimeout = -1),
        Passed("CharacterSet", "No effect: the driver uses utf8mb4."),

        // A connection that was given up and opened again would count on the server twice.
        SetBack(
            "ConnectionTimeout", "The driver must never give up an open.", static (b, _) => b.ConnectionTimeout = 0),
        Passed("ConvertZeroDateTime", OfTheTypes),
        Passed("DateTimeKind", OfTheTypes),
        SetBack("DefaultCommandTimeout", "The pool's StatementTimeout plus its RecoveryTimeout.", static (b, o) =>
            b.DefaultCommandTimeout = (uint)Math.Ceiling((o.StatementTimeout + o.RecoveryTimeout).TotalSeconds)),
        SetBack(
            "ForceSynchronous", "Threads would wait for the server, and callers past their deadline.",
            static (b, _) => b.ForceSynchronous = false),
        Passed("GuidFormat", OfTheTypes),
        SetBack(
            "IgnoreCommandTransaction", "A command runs in its connection's transaction in any case.",
            static (b, _) => b.IgnoreCommandTransaction = false),

        // A reset does not clear the driver's cache of prepared handles: the next use would fail.
        SetBack(
            "IgnorePrepare", "A prepared handle would not outlive a reset.",
            static (b, _) => b.IgnorePrepare = true),
        Passed("InteractiveSession", "Keep IdleTimeout below the server's interactive_timeout then."),

        // The kernel's default of two hours is too long.
        Completed("Keepalive", "10 s: a peer that lost its power is noticed in seconds.", static (b, _) =>
        {
            if (b.Keepalive == 0) b.Keepalive = 10;
        })
        with
        {
            Refuse = ConnectionStringRefusals.OfKeepalive,
        },
        Passed("NoBackslashEscapes", "It must match the server's sql_mode."),
        Passed("OldGuids", OfTheTypes) with
        {
            Refuse = ConnectionStringRefusals.OfGuids,
        },
        SetBack(
            "PersistSecurityInfo", "No credential leaves the pool.",
            static (b, _) => b.PersistSecurityInfo = false),
        Passed("Pipelining", "False for proxies that cannot take it."),
        Passed("ServerRedirectionMode", "A session elsewhere could be neither killed nor asked about.") with
        {
            Refuse = ConnectionStringRefusals.OfRedirection,
        },
        Passed("ServerRsaPublicKeyFile", "The operator decides how the account logs in."),
        Passed("ServerSPN", "The operator decides how the account logs in."),
        Passed("TreatTinyAsBoolean", OfTheTypes),
        Passed("UseAffectedRows", "The application decides what an UPDATE counts; Pomelo needs the default."),
        Passed("UseCompression", "The operator weighs bandwidth against processor time."),
        SetBack(
            "UseXaTransactions", "It serves ambient transactions, which are refused.",
            static (b, _) => b.UseXaTransactions = false),
    ];

    public static IReadOnlyList<ConnectionOption> All => Options;

    /// <summary>The reason why the settings cannot be used; null if they can.</summary>
    public static string? ProblemOf(MySqlConnectionStringBuilder builder)
    {
        foreach (ConnectionOption option in Options)
        {
            if (option.Refuse?.Invoke(builder) is { } problem) return $"The connection string {problem}";
        }

        return null;
    }

    /// <summary>Sets the values that the pool relies on.</summary>
    public static void Apply(MySqlConnectionStringBuilder builder, PoolOptions pool)
    {
        foreach (ConnectionOption option in Options) option.Set?.Invoke(builder, pool);
    }

    private static ConnectionOption Passed(string property, string reason) => new(property, OptionUse.Passed, reason);

    private static ConnectionOption Completed(
        string property, string reason, Action<MySqlConnectionStringBuilder, PoolOptions> set) =>
        new(property, OptionUse.Completed, reason) { Set = set };

    private static ConnectionOption SetBack(
        string property, string reason, Action<MySqlConnectionStringBuilder, PoolOptions> set) =>
        new(property, OptionUse.SetBack, reason) { Set = set };

    private static void NameSessions(MySqlConnectionStringBuilder builder, PoolOptions pool)
    {
        if (!string.IsNullOrEmpty(builder.ApplicationName)) return;

        builder.ApplicationName = string.Create(
            CultureInfo.InvariantCulture, $"upool/{pool.Name}@{Environment.MachineName}:{Environment.ProcessId}");
    }

    // Compare the text, not the address: a name that leads here today may lead elsewhere tomorrow.
    private static bool IsOnThisMachine(MySqlConnectionStringBuilder builder) =>
        builder.ConnectionProtocol != MySqlConnectionProtocol.Socket
        || ConnectionStringRefusals.IsPath(builder.Server)
        || string.Equals(builder.Server, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(builder.Server, out IPAddress? address) && IPAddress.IsLoopback(address));
}
