using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using UPool.Core;

namespace UPool.Sqlite;

/// <summary>Adds the embedded default to a host.</summary>
public static class SqliteHostExtensions
{
    /// <summary>
    /// Lets the host's pool use a SQLite file if there is no connection string and <c>UPool:Embedded</c> is true, as it
    /// is in Development unless configured.
    /// </summary>
    public static IHostApplicationBuilder AddUPoolSqlite(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton<IEmbeddedDatabase, SqliteDatabase>();
        return builder;
    }

    private sealed class SqliteDatabase : IEmbeddedDatabase
    {
        public PooledDataSource CreatePool(
            string path, PoolOptions options, ILoggerFactory loggers, TimeProvider clock) =>
            SqlitePool.Create(path, options, loggers, clock);
    }
}
