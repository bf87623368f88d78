using Microsoft.Extensions.Logging;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>Makes pools over MySQL and MariaDB.</summary>
public static class MySqlPool
{
    /// <summary>The problem of a connection string, in a message that holds no value of it; null if it can be
    /// used.</summary>
    public static string? Problem(string connectionString)
    {
        try
        {
            MySqlSettings.Derive(connectionString, new PoolOptions());
            return null;
        }
        catch (ArgumentException exception)
        {
            return exception.Message;
        }
    }

    /// <summary>Makes a pool. It opens no session before the first rent or
    /// <see cref="PooledDataSource.StartAsync"/>.</summary>
    /// <param name="connectionString">
    /// Server, User ID, Password and Database at least. The pool overrides Pooling, the timeouts of connecting and
    /// cancelling, and Ignore Prepare.
    /// </param>
    /// <param name="options">The pool's settings.</param>
    /// <param name="control">The process's control connections; they outlive the pool. With an incarnation the pool
    /// needs a <see cref="PooledDataSource.Lease"/>.</param>
    /// <param name="loggers">The loggers; null to log nothing.</param>
    /// <param name="clock">The clock; null for the system clock.</param>
    /// <exception cref="ArgumentException">An option or the connection string is invalid; the message names which, and
    /// holds no value of the connection string.</exception>
    public static PooledDataSource Create(
        string connectionString, PoolOptions options, ControlConnections control,
        ILoggerFactory? loggers = null, TimeProvider? clock = null)
    {
        options = options.Copy();
        MySqlConnectionStringBuilder settings = MySqlSettings.Derive(connectionString, options);
        control.KnowAccount(settings.UserID);
        var connector = new MySqlServerConnector(settings, control.KillLane, loggers)
        {
            Register = control.Register,
            Options = options,
            KnowAccount = control.KnowAccount,
        };
        return new PooledDataSource(options, connector, clock, loggers, needsLease: control.Register is not null);
    }
}
