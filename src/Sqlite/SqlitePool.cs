using Microsoft.Extensions.Logging;

namespace UPool.Sqlite;

/// <summary>Makes pools over a SQLite file: the embedded default of development.</summary>
public static class SqlitePool
{
    /// <summary>Makes a pool. The file is created at the first open, its folder at once.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">The pool's settings.</param>
    /// <param name="loggers">Where to log; nowhere when null.</param>
    /// <param name="clock">The clock; the system's when null.</param>
    public static PooledDataSource Create(
        string path, PoolOptions options, ILoggerFactory? loggers = null, TimeProvider? clock = null)
    {
        string full = Path.GetFullPath(path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        return new PooledDataSource(options, new SqliteConnector(full), clock, loggers);
    }
}
