using Microsoft.Extensions.Logging;

namespace UPool.Sqlite;

/// <summary>Makes pools over a SQLite file: the embedded default of development.</summary>
public static class SqlitePool
{
    /// <summary>Makes a pool. Its folder is created at once, the file at the first open.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">The pool's settings.</param>
    /// <param name="loggers">The loggers; null to log nothing.</param>
    /// <param name="clock">The clock; null for the system clock.</param>
    public static PooledDataSource Create(
        string path, PoolOptions options, ILoggerFactory? loggers = null, TimeProvider? clock = null)
    {
        string full = Path.GetFullPath(path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        return new PooledDataSource(options, new SqliteConnector(full), clock, loggers);
    }
}
