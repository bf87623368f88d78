using MySqlConnector;

namespace UPool.MySql;

/// <summary>What the pool does with an option of the connection string.</summary>
internal enum OptionUse
{
    /// <summary>The driver gets it as it was given.</summary>
    Passed,

    /// <summary>The driver gets it as it was given; when it was not, a value of the pool's.</summary>
    Completed,

    /// <summary>The driver gets the pool's value, whatever was given.</summary>
    SetBack,
}

/// <summary>One option of the driver's connection string, and what the pool does with it.</summary>
/// <param name="Property">The driver's name of its property.</param>
/// <param name="Use">What becomes of a value that was given.</param>
/// <param name="Reason">Why.</param>
internal sealed record ConnectionOption(string Property, OptionUse Use, string Reason)
{
    /// <summary>Sets what the pool stands on.</summary>
    public Action<MySqlConnectionStringBuilder, PoolOptions>? Set { get; init; }

    /// <summary>Why a value is refused at the start, as the rest of "The connection string …", without the value; null
    /// when it is not. A value with which no session could ever be opened must not look like an outage.</summary>
    public Func<MySqlConnectionStringBuilder, string?>? Refuse { get; init; }
}
