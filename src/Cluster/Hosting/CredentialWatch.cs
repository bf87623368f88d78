using System.Threading.Channels;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace UPool.Cluster.Hosting;

/// <summary>
/// Gives changed connection strings to the running pool and control connections, when a configuration source has
/// reloaded: a rotated password needs no restart. The only settings that are read again.
/// </summary>
/// <remarks>The driver has a password provider as well. It is asked on a timer, knows the password alone, and tells
/// nobody that it changed, so the former sessions would live on.</remarks>
internal sealed partial class CredentialWatch(
    IConfiguration configuration,
    IHostEnvironment environment,
    IOptions<DatabaseOptions> database,
    ControlDatabase control,
    IServiceProvider services,
    ILogger<CredentialWatch> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The embedded default has no credentials, and a process does not move from it to a server.
        if (database.Value is not { ConnectionString: { } pools, ControlConnectionString: { } controls }) return;

        // One is enough: whoever reads it sees the newest.
        Channel<bool> reloads = Channel.CreateBounded<bool>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        using IDisposable registration = ChangeToken.OnChange(
            configuration.GetReloadToken, () => reloads.Writer.TryWrite(true));

        // First what was reloaded between the start's own reading and the registration.
        do
        {
            var read = new DatabaseOptions();
            DatabaseOptions.Read(read, configuration, environment);
            if (read is not { ConnectionString: { } newPools, ControlConnectionString: { } newControls })
            {
                LogIgnored(logger, DatabaseOptions.ConnectionStringKey, "It is missing now.");
                continue;
            }

            // The control connections first: it is they who confirm that the pool's former sessions are gone.
            if (newControls != controls)
            {
                string key = configuration[DatabaseOptions.ControlConnectionStringKey] is null
                    ? DatabaseOptions.ConnectionStringKey
                    : DatabaseOptions.ControlConnectionStringKey;
                _ = ChangeAsync(key, newControls, control.Connections.ChangeConnectionStringAsync, stoppingToken);
            }

            if (newPools != pools && services.GetService<PooledDataSource>() is { } pool)
            {
                _ = ChangeAsync(
                    DatabaseOptions.ConnectionStringKey, newPools, pool.ChangeConnectionStringAsync, stoppingToken);
            }

            (pools, controls) = (newPools, newControls);
        }
        while (await reloads.Reader.ReadAsync(stoppingToken));
    }

    // Not waited for: while the server does not answer, the next change must not wait either; it ends this one. What
    // came of it the pool tells itself, in its log and its health.
    private async Task ChangeAsync(
        string key, string connectionString, Func<string, CancellationToken, Task<bool>> change,
        CancellationToken cancellationToken)
    {
        try
        {
            LogChanges(logger, key);
            await change(connectionString, cancellationToken);
        }
        catch (ArgumentException exception)
        {
            LogIgnored(logger, key, exception.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }
}
