using MySqlConnector;

namespace UPool.MySql;

/// <summary>How the pool uses an option of the connection string.</summary>
internal enum OptionUse
{
    /// <summary>The driver gets the given value.</summary>
    Passed,

    /// <summary>The driver gets the given value or, if none was given, the pool's.</summary>
    Completed,

    /// <summary>The driver gets the pool's value, whatever was given.</summary>
    SetBack,
}

/// <summary>One option of the driver's connection string, and how the pool uses it.</summary>
/// <param name="Property">The name of the driver's property.</param>
/// <param name="Use">How a given value is used.</param>
/// <param name="Reason">The reason.</param>
internal sealed record ConnectionOption(string Property, OptionUse Use, string Reason)
{
    /// <summary>Sets the value that the pool relies on.</summary>
    public Action<MySqlConnectionStringBuilder, PoolOptions>? Set { get; init; }

    /// <summary>The reason why a value is refused at the start, as the rest of "The connection string …", without the
    /// value; null if it is accepted. A value with which no session can ever be opened must not look like an
    /// outage.</summary>
    public Func<MySqlConnectionStringBuilder, string?>? Refuse { get; init; }
}
