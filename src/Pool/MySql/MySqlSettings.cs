using System.Globalization;
using System.Net;

using Microsoft.Extensions.Logging;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>The driver's settings that the pool stands on; the rest of the connection string is the user's.</summary>
internal static class MySqlSettings
{
    /// <summary>Makes the driver's connection string from the user's.</summary>
    /// <exception cref="ArgumentException">A value that cannot be used; the message names the key, never a
    /// value.</exception>
    public static MySqlConnectionStringBuilder Derive(string connectionString, PoolOptions options)
    {
        MySqlConnectionStringBuilder builder;
        try
        {
            builder = new MySqlConnectionStringBuilder(connectionString);
        }
        catch (ArgumentException exception)
        {
            // The driver's message can quote what it could not read, the password among it.
            throw new ArgumentException(
                $"The connection string cannot be read ({exception.GetType().Name}). Expected: "
                + "Server=…;User ID=…;Password=…;Database=…");
        }
        catch (FormatException)
        {
            throw new ArgumentException("The connection string has an option whose value cannot be read.");
        }

        if (string.IsNullOrWhiteSpace(builder.Server))
            throw new ArgumentException("The connection string names no Server.");
        if (builder.Server.Contains(',', StringComparison.Ordinal)
            || builder.LoadBalance != MySqlLoadBalance.RoundRobin)
        {
            throw new ArgumentException(
                "The connection string spreads over several servers, and the pool has to ask one and the same server "
                + "whether its sessions are gone. Name one Server, and no Load Balance.");
        }

        if (string.IsNullOrWhiteSpace(builder.Database))
            throw new ArgumentException("The connection string names no Database.");
        if (builder.UseXaTransactions && builder.AutoEnlist) builder.AutoEnlist = false;

        // This pool is the pool.
        builder.Pooling = false;

        // An open is never given up by the driver: closed and repeated, it would count on the server twice.
        builder.ConnectionTimeout = 0;

        // At its timeout the driver closes the socket at once; its own KILL would block the canceller and open a
        // session that no permit covers.
        builder.CancellationTimeout = -1;
        builder.DefaultCommandTimeout =
            (uint)Math.Ceiling((options.StatementTimeout + options.RecoveryTimeout).TotalSeconds);

        // A reset does not clear the driver's cache of prepared handles: the next use would fail.
        builder.IgnorePrepare = true;

        // A peer that lost its power is noticed in seconds, not after the kernel's two hours.
        if (builder.Keepalive == 0) builder.Keepalive = 10;

        // Dapper users expect @variables of their own to work.
        if (!builder.ContainsKey("Allow User Variables")) builder.AllowUserVariables = true;

        // Beyond this machine anybody may stand in between: the server proves who it is, unless the user says that it
        // need not. The driver's own default takes an unproven certificate, and a connection without TLS.
        if (!builder.ContainsKey("SSL Mode") && !IsOnThisMachine(builder)) builder.SslMode = MySqlSslMode.VerifyFull;

        // Connections name their process to the server (program_name in performance_schema and the audit log).
        if (string.IsNullOrEmpty(builder.ApplicationName))
        {
            builder.ApplicationName = string.Create(
                CultureInfo.InvariantCulture,
                $"upool/{options.Name}@{Environment.MachineName}:{Environment.ProcessId}");
        }

        return builder;
    }

    /// <summary>Makes the driver's data source.</summary>
    public static MySqlDataSource Build(MySqlConnectionStringBuilder settings, ILoggerFactory? loggers)
    {
        var builder = new MySqlDataSourceBuilder(settings.ConnectionString);
        if (loggers is not null) builder.UseLoggerFactory(new GuardedLoggerFactory(loggers));
        return builder.Build();
    }

    /// <summary>Refuses a changed connection string that leads to another server or database: what a running pool and
    /// the control connections know of their sessions would be another server's.</summary>
    public static void ThrowIfElsewhere(MySqlConnectionStringBuilder settings, string target)
    {
        if (Describe(settings) == target) return;

        throw new ArgumentException(
            "The changed connection string leads to another server, port or database; a running pool stays with its "
            + "own. Start the process anew to move.");
    }

    /// <summary>Host, port and database, for people.</summary>
    public static string Describe(MySqlConnectionStringBuilder builder) => string.Create(
        CultureInfo.InvariantCulture, $"MySQL at {builder.Server}:{builder.Port}/{builder.Database}");

    /// <summary>The settings as a connection string that holds nothing to log in with.</summary>
    public static string WithoutCredentials(MySqlConnectionStringBuilder builder)
    {
        var shown = new MySqlConnectionStringBuilder(builder.ConnectionString);
        foreach (string key in (string[])["User ID", "Password", "Certificate Password"]) shown.Remove(key);
        return shown.ConnectionString;
    }

    // By its text: a name that leads here today may lead elsewhere tomorrow.
    private static bool IsOnThisMachine(MySqlConnectionStringBuilder builder) =>
        builder.ConnectionProtocol is not (MySqlConnectionProtocol.Socket or MySqlConnectionProtocol.Tcp)
        || builder.Server.StartsWith('/')
        || string.Equals(builder.Server, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(builder.Server, out IPAddress? address) && IPAddress.IsLoopback(address));
}
