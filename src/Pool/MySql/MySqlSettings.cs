using System.Data.Common;
using System.Globalization;

using Microsoft.Extensions.Logging;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>The driver's settings that the pool relies on; the rest of the connection string is the user's.</summary>
internal static class MySqlSettings
{
    /// <summary>Makes the driver's connection string from the user's, by <see cref="ConnectionStringTable"/>.</summary>
    /// <exception cref="ArgumentException">A value cannot be used; the message names the key, never a
    /// value.</exception>
    public static MySqlConnectionStringBuilder Derive(string connectionString, PoolOptions options)
    {
        MySqlConnectionStringBuilder builder;
        try
        {
            builder = new MySqlConnectionStringBuilder(connectionString);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException)
        {
            // The driver's message may quote the unreadable text, the password included.
            throw new ArgumentException(WhyUnreadable(connectionString, exception));
        }

        if (ConnectionStringTable.ProblemOf(builder) is { } problem) throw new ArgumentException(problem);

        ConnectionStringTable.Apply(builder, options);
        return builder;
    }

    /// <summary>Creates the driver's data source.</summary>
    public static MySqlDataSource Build(MySqlConnectionStringBuilder settings, ILoggerFactory? loggers)
    {
        MySqlDataSourceBuilder builder = ServerProof.CreateBuilder(settings);
        if (loggers is not null) builder.UseLoggerFactory(new GuardedLoggerFactory(loggers));
        return builder.Build();
    }

    /// <summary>Refuses a changed connection string that leads to another server or database: a running pool and the
    /// control connections would take its sessions for those they know.</summary>
    public static void ThrowIfElsewhere(MySqlConnectionStringBuilder settings, string target)
    {
        if (Describe(settings) == target) return;

        throw new ArgumentException(
            "The changed connection string leads to another server, port or database; a running pool stays with its "
            + "own. Start the process anew to move.");
    }

    /// <summary>Host, port and database, for messages.</summary>
    public static string Describe(MySqlConnectionStringBuilder builder) => string.Create(
        CultureInfo.InvariantCulture, $"MySQL at {builder.Server}:{builder.Port}/{builder.Database}");

    /// <summary>The settings as a connection string without credentials.</summary>
    public static string WithoutCredentials(MySqlConnectionStringBuilder builder)
    {
        var shown = new MySqlConnectionStringBuilder(builder.ConnectionString);
        foreach (string key in (string[])["User ID", "Password", "Certificate Password"]) shown.Remove(key);
        return shown.ConnectionString;
    }

    /// <summary>Names the key whose value cannot be read, if the driver knows the key: an unknown key may be part of a
    /// password with a semicolon.</summary>
    private static string WhyUnreadable(string connectionString, Exception exception)
    {
        try
        {
            var given = new DbConnectionStringBuilder { ConnectionString = connectionString };
            foreach (string key in given.Keys)
            {
                if (Knows(key) && !Takes(key, given[key]))
                    return $"The connection string has a value that cannot be used for '{key}'.";
            }
        }
        catch (ArgumentException)
        {
            // Its quotes do not even close.
        }

        return $"The connection string cannot be read ({exception.GetType().Name}). Expected: "
            + "Server=…;User ID=…;Password=…;Database=…";
    }

    private static bool Knows(string key)
    {
        try
        {
            _ = new MySqlConnectionStringBuilder()[key];
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static bool Takes(string key, object value)
    {
        try
        {
            var builder = new MySqlConnectionStringBuilder { [key] = value };

            // The driver checks some values only when they are read.
            _ = builder[key];
            return true;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException)
        {
            return false;
        }
    }
}
