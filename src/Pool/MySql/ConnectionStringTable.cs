using System.Globalization;
using System.Net;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// All options of the driver's connection string. Each is passed on, set back or refused; a test fails when the driver
/// has one that is not here, and another when docs/operating/configuration.md has not.
/// </summary>
internal static class ConnectionStringTable
{
    private const string OfThePool = "This pool is the pool; it has options of its own.";
    private const string OfTheTypes = "How values are read and written is the application's.";
    private const string OfTls = "How TLS is spoken is the operator's.";

    private static readonly ConnectionOption[] Options =
    [
        Passed("Server", "The one server that is asked whether sessions are gone.") with
        {
            Refuse = ConnectionStringRefusals.OfServer,
        },
        Passed("Port", "The server's.") with
        {
            Refuse = ConnectionStringRefusals.OfPort,
        },
        Passed("UserID", "Never shown."),
        Passed("Password", "Never shown."),
        Passed("Database", "What a reset goes back to.") with
        {
            Refuse = ConnectionStringRefusals.OfDatabase,
        },
        Passed("LoadBalance", "Several servers are refused.") with
        {
            Refuse = ConnectionStringRefusals.OfLoadBalance,
        },
        Passed("ConnectionProtocol", "TCP, or a Unix socket, over which nothing can be killed.") with
        {
            Refuse = ConnectionStringRefusals.OfProtocol,
        },
        SetBack("PipeName", "Named pipes are refused.", static (b, _) => b.PipeName = "MYSQL"),

        // Beyond this machine anybody may stand in between: the server proves who it is, unless the user says that it
        // need not. The driver's own default takes an unproven certificate, and a connection without TLS.
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
        Passed("DeferConnectionReset", "Without effect: the driver has given it up."),
        Passed("ConnectionIdlePingTime", "Without effect: the driver has given it up."),
        SetBack("ConnectionIdleTimeout", OfThePool, static (b, _) => b.ConnectionIdleTimeout = 180),
        SetBack("MinimumPoolSize", OfThePool, static (b, _) => b.MinimumPoolSize = 0),
        SetBack("MaximumPoolSize", OfThePool, static (b, _) => b.MaximumPoolSize = 100),
        SetBack(
            "DnsCheckInterval", "It clears the driver's pool, which is not used.",
            static (b, _) => b.DnsCheckInterval = 0),

        Passed("AllowLoadLocalInfile", "The application's; the server must allow it, too."),
        Passed("AllowPublicKeyRetrieval", "How the account is proved is the operator's."),
        Completed("AllowUserVariables", "True: users of Dapper expect @variables to work.", static (b, _) =>
        {
            if (!b.ContainsKey("Allow User Variables")) b.AllowUserVariables = true;
        }),
        Passed("AllowZeroDateTime", OfTheTypes),
        Completed("ApplicationName", "Pool, machine and process, for the server's views and log.", NameSessions),
        SetBack(
            "AutoEnlist", "An ambient transaction would be spread over several sessions.",
            static (b, _) => b.AutoEnlist = false),

        // At its timeout the driver closes the socket at once; its own KILL would block the canceller and open a
        // session that no permit covers.
        SetBack(
            "CancellationTimeout", "The pool ends statements; the driver only closes the socket.",
            static (b, _) => b.CancellationTimeout = -1),
        Passed("CharacterSet", "Without effect: the driver speaks utf8mb4."),

        // Closed and repeated, it would count on the server twice.
        SetBack(
            "ConnectionTimeout", "An open is never given up by the driver.", static (b, _) => b.ConnectionTimeout = 0),
        Passed("ConvertZeroDateTime", OfTheTypes),
        Passed("DateTimeKind", OfTheTypes),
        SetBack("DefaultCommandTimeout", "The pool's StatementTimeout, and a recovery's time.", static (b, o) =>
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

        // Not after the kernel's two hours.
        Completed("Keepalive", "10 s: a peer that lost its power is noticed in seconds.", static (b, _) =>
        {
            if (b.Keepalive == 0) b.Keepalive = 10;
        })
        with
        {
            Refuse = ConnectionStringRefusals.OfKeepalive,
        },
        Passed("NoBackslashEscapes", "Has to fit the server's sql_mode."),
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
        Passed("ServerRsaPublicKeyFile", "How the account is proved is the operator's."),
        Passed("ServerSPN", "How the account is proved is the operator's."),
        Passed("TreatTinyAsBoolean", OfTheTypes),
        Passed("UseAffectedRows", "What an UPDATE counts is the application's; Pomelo's provider wants it left out."),
        Passed("UseCompression", "Bandwidth against processor time is the operator's."),
        SetBack(
            "UseXaTransactions", "Of ambient transactions, which are refused.",
            static (b, _) => b.UseXaTransactions = false),
    ];

    public static IReadOnlyList<ConnectionOption> All => Options;

    /// <summary>Why the settings cannot be used; null when they can.</summary>
    public static string? ProblemOf(MySqlConnectionStringBuilder builder)
    {
        foreach (ConnectionOption option in Options)
        {
            if (option.Refuse?.Invoke(builder) is { } problem) return $"The connection string {problem}";
        }

        return null;
    }

    /// <summary>Sets what the pool stands on.</summary>
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

    // By its text: a name that leads here today may lead elsewhere tomorrow.
    private static bool IsOnThisMachine(MySqlConnectionStringBuilder builder) =>
        builder.ConnectionProtocol != MySqlConnectionProtocol.Socket
        || ConnectionStringRefusals.IsPath(builder.Server)
        || string.Equals(builder.Server, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(builder.Server, out IPAddress? address) && IPAddress.IsLoopback(address));
}
