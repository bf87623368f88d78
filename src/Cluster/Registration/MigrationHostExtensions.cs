using System.Data.Common;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;
using UPool.Hosting;
using UPool.MySql;

namespace UPool.Cluster.Registration;

/// <summary>Tasks of a program that runs once and ends, without a silo. Its host has <c>AddUPoolSilo</c> and is never
/// started.</summary>
public static partial class MigrationHostExtensions
{
    // The same interval as for a silo that waits for its database.
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    // The interval between two log lines about the reason for waiting.
    private static readonly TimeSpan WaitingInterval = TimeSpan.FromSeconds(10);

    /// <summary>Applies the schema of the cluster and of the application, and nothing else. The host is not
    /// started.</summary>
    /// <exception cref="OptionsValidationException">The configuration is wrong.</exception>
    /// <exception cref="SchemaMigrationException">The schema could not be applied.</exception>
    /// <exception cref="System.Data.Common.DbException">The database cannot be reached or refuses the
    /// account.</exception>
    public static async Task MigrateUPoolAsync(this IHost host, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(host);
        IServiceProvider services = host.Services;
        if (services.GetRequiredService<IOptions<DatabaseOptions>>().Value.ConnectionString is null)
        {
            throw new SchemaMigrationException(
                $"{DatabaseOptions.ConnectionStringKey} is missing: the embedded database needs no migration.");
        }

        var control = services.GetRequiredService<ControlDatabase>();
        var clock = services.GetRequiredService<TimeProvider>();
        ILogger logger = services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(SchemaMigrator));
        IEnumerable<SchemaScript> scripts =
            ClusterSchema.ScriptsFor(services.GetRequiredService<IOptions<BudgetOptions>>().Value.IsOn)
                .Concat(services.GetServices<SchemaScript>());
        await WhenUsableAsync(
            () => SchemaMigrator.ApplyAsync(control.Storage, scripts, logger, cancellationToken), control,
            services.GetRequiredService<IOptions<UPoolClusterOptions>>().Value.MigrateTimeout, clock, logger,
            cancellationToken);
    }

    /// <summary>
    /// The database of such a program: the control connections, because a pool would need a lease. The budget counts
    /// them as those of the migration. With the embedded database it is the pool.
    /// </summary>
    public static DbDataSource GetToolDatabase(this IHost host)
    {
        ArgumentNullException.ThrowIfNull(host);
        IServiceProvider services = host.Services;
        return services.GetRequiredService<IOptions<DatabaseOptions>>().Value.ConnectionString is null
            ? services.GetRequiredService<PooledDataSource>()
            : services.GetRequiredService<ControlDatabase>().Storage;
    }

    // The server cannot be reached, went away or takes no writes: the schema is not the cause.
    private static bool IsOfTheServer(Exception exception) =>
        exception is SchemaMigrationException { InnerException: { } cause }
            ? ControlConnections.IsOfTheServer(cause)
            : exception is DbException;

    // A database that was started together with this process may take a minute to create its tables. Until then it may
    // refuse the account, not know the database or take no writes. Wait, as a silo does: every statement of a migration
    // may be applied again.
    private static async Task WhenUsableAsync(
        Func<Task> apply, ControlDatabase control, TimeSpan timeout, TimeProvider clock, ILogger logger,
        CancellationToken cancellationToken)
    {
        long startedAt = clock.GetTimestamp();
        TimeSpan nextTold = TimeSpan.Zero;
        while (true)
        {
            try
            {
                await using (await control.Storage.OpenConnectionAsync(cancellationToken))
                {
                }

                await apply();
                return;
            }
            catch (Exception exception)
                when (IsOfTheServer(exception) && clock.GetElapsedTime(startedAt) < timeout)
            {
                TimeSpan waited = clock.GetElapsedTime(startedAt);
                if (waited >= nextTold)
                {
                    LogWaiting(logger, control.Describe(exception), (int)(timeout - waited).TotalSeconds);
                    nextTold = waited + WaitingInterval;
                }
            }

            await Task.Delay(RetryInterval, clock, cancellationToken);
        }
    }
}
