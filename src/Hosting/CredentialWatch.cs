using System.Threading.Channels;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace UPool.Hosting;

/// <summary>
/// Passes changed connection strings to the running pool and control connections when a configuration source reloads,
/// so a rotated password needs no restart. No other settings are read again.
/// </summary>
/// <remarks>The driver's own password provider is polled on a timer, covers the password only and reports no change, so
/// sessions with the previous password would stay open.</remarks>
internal sealed partial class CredentialWatch(
    IConfiguration configuration,
    IHostEnvironment environment,
    IOptions<DatabaseOptions> database,
    ControlDatabase control,
    IServiceProvider services,
    TimeProvider clock,
    ILogger<CredentialWatch> logger) : QuietBackgroundService
{
    // How long the pool's change waits for that of the control connections: one of their opens that never completes
    // must not keep the pool from its new password.
    private static readonly TimeSpan ControlTimeout = TimeSpan.FromSeconds(30);

    protected override async Task WorkAsync(CancellationToken stoppingToken)
    {
        // The embedded default has no credentials, and a process does not switch from it to a server.
        if (database.Value is not { ConnectionString: { } pools, ControlConnectionString: { } controls }) return;

        // One signal is enough: the reader then sees the newest configuration.
        Channel<bool> reloads = Channel.CreateBounded<bool>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        using IDisposable registration = ChangeToken.OnChange(
            configuration.GetReloadToken, () => reloads.Writer.TryWrite(true));

        Task controlChange = Task.CompletedTask;

        // The first pass covers a reload between the read at start and the registration.
        do
        {
            var read = new DatabaseOptions();
            DatabaseOptions.Read(read, configuration, environment);
            if (read is not { ConnectionString: { } newPools, ControlConnectionString: { } newControls })
            {
                LogIgnored(logger, DatabaseOptions.ConnectionStringKey, "It is missing now.");
                continue;
            }

            if (newControls != controls)
            {
                string key = configuration[DatabaseOptions.ControlConnectionStringKey] is null
                    ? DatabaseOptions.ConnectionStringKey
                    : DatabaseOptions.ControlConnectionStringKey;
                controls = newControls;
                controlChange = ChangeAsync(
                    key, newControls, control.Connections.ChangeConnectionStringAsync, stoppingToken);
            }

            if (newPools == pools || services.GetService<PooledDataSource>() is not { } pool) continue;

            // The control connections change first: they confirm that the pool's former sessions are closed. A reload
            // that arrives meanwhile is read first, since it may supersede this change.
            Task reloaded = reloads.Reader.WaitToReadAsync(stoppingToken).AsTask();
            await Task.WhenAny(controlChange, reloaded, Task.Delay(ControlTimeout, clock, stoppingToken));
            if (reloaded.IsCompleted) continue;

            pools = newPools;
            _ = ChangeAsync(
                DatabaseOptions.ConnectionStringKey, newPools, pool.ChangeConnectionStringAsync, stoppingToken);
        }
        while (await reloads.Reader.ReadAsync(stoppingToken));
    }

    // The pool's change is not awaited: while the server does not answer, the next change must be able to start; it
    // ends this one. The pool reports the result in its log and its health.
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
