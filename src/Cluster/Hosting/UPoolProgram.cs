using System.Data.Common;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Membership;

namespace UPool.Cluster.Hosting;

/// <summary>Runs the host of a process of uPool, and ends it with a line rather than a stack trace.</summary>
public static class UPoolProgram
{
    /// <summary>Runs a host until it is told to stop. A start that fails is told in one plain line on standard
    /// error.</summary>
    /// <returns>The exit code of the process: 0 when it was told to stop, 1 when the start failed.</returns>
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

        await SchemaMigrator.ApplyAsync(
            services.GetRequiredService<ControlDatabase>().Storage,
            ClusterSchema.Scripts.Concat(services.GetServices<SchemaScript>()),
            services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(SchemaMigrator)),
            cancellationToken);
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
