using System.Data.Common;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;

namespace UPool.Cluster.Hosting;

/// <summary>Runs the host of a process of uPool, and ends it with a line rather than a stack trace.</summary>
public static partial class UPoolProgram
{
    /// <summary>The exit code of a silo that cannot go on: the other silos have declared it dead, or its part of the
    /// cluster has failed.</summary>
    public const int DeclaredDead = 3;

    // As a silo that waits for its database.
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    // Of the line that says what a migration waits for.
    private static readonly TimeSpan WaitingInterval = TimeSpan.FromSeconds(10);

    /// <summary>Runs a host until it is told to stop. A start that fails is told in one plain line on standard
    /// error.</summary>
    /// <returns>The exit code of the process: 0 when it was told to stop, 1 when the start failed. A silo that the
    /// others have declared dead ends without returning, with <see cref="DeclaredDead"/>.</returns>
    public static async Task<int> RunUPoolAsync(this IHost host)
    {
        ArgumentNullException.ThrowIfNull(host);

        // Before the host is run: it disposes its services when it ends.
        var lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        CancellationToken stopping = lifetime.ApplicationStopping;
        bool isStarted = false;
        await using (lifetime.ApplicationStarted.Register(() => isStarted = true))
        {
            try
            {
                await host.RunAsync();
                return 0;
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                // Told to stop while the start was still waiting for its database.
                return 0;
            }
            catch (Exception exception) when (!isStarted)
            {
                await Console.Error.WriteLineAsync(Describe(exception));
                return 1;
            }
        }
    }

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
        await UntilReachableAsync(
            control, services.GetRequiredService<IOptions<UPoolClusterOptions>>().Value.MigrateTimeout, clock, logger,
            cancellationToken);
        await SchemaMigrator.ApplyAsync(
            control.Storage,
            ClusterSchema.ScriptsFor(services.GetRequiredService<IOptions<BudgetOptions>>().Value.IsOn)
                .Concat(services.GetServices<SchemaScript>()),
            logger,
            cancellationToken);
    }

    // A database that was started together with this process may take a minute to make its tables, and refuse the
    // account or not know the database until then: as a silo does, wait.
    private static async Task UntilReachableAsync(
        ControlDatabase control, TimeSpan timeout, TimeProvider clock, ILogger logger,
        CancellationToken cancellationToken)
    {
        long startedAt = clock.GetTimestamp();
        TimeSpan nextTold = TimeSpan.Zero;
        while (true)
        {
            try
            {
                await using DbConnection connection = await control.Storage.OpenConnectionAsync(cancellationToken);
                return;
            }
            catch (DbException exception) when (clock.GetElapsedTime(startedAt) < timeout)
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

    /// <summary>
    /// The database for what runs once and ends, beside no silo: the control connections, which are in the budget as
    /// the migration's; a pool would need a lease there. The embedded database has no other than the pool.
    /// </summary>
    public static DbDataSource GetToolDatabase(this IHost host)
    {
        ArgumentNullException.ThrowIfNull(host);
        IServiceProvider services = host.Services;
        return services.GetRequiredService<IOptions<DatabaseOptions>>().Value.ConnectionString is null
            ? services.GetRequiredService<PooledDataSource>()
            : services.GetRequiredService<ControlDatabase>().Storage;
    }

    /// <summary>A start's failure in one plain line.</summary>
    public static string Describe(Exception exception)
    {
        // Services that start together fail together, and the ones that were cancelled by it say nothing.
        Exception cause = exception is AggregateException { InnerExceptions: [var first, ..] } all
            ? all.InnerExceptions.FirstOrDefault(static inner => inner is not OperationCanceledException) ?? first
            : exception;
        string text = cause is OptionsValidationException validation
            ? string.Join(" ", validation.Failures)
            : cause.Message.ReplaceLineEndings(" ");
        return $"uPool cannot start: {text}";
    }
}
