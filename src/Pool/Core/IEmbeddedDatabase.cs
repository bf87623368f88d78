using Microsoft.Extensions.Logging;

namespace UPool.Core;

/// <summary>
/// Creates the pool of a process that has no server (<c>UPool:Embedded</c>). A driver project registers it as a
/// singleton of the host; without one the host refuses to start.
/// </summary>
internal interface IEmbeddedDatabase
{
    /// <summary>Creates a pool over a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">The pool's settings.</param>
    /// <param name="loggers">Where to log.</param>
    /// <param name="clock">The clock.</param>
    PooledDataSource CreatePool(string path, PoolOptions options, ILoggerFactory loggers, TimeProvider clock);
}
