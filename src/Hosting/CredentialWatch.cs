using System.Threading.Channels;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace UPool.Hosting;

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
    TimeProvider clock,
    ILogger<CredentialWatch> logger) : QuietBackgroundService
{
    // How long the pool's change waits for the control connections': an open of theirs that is lost on its way must not
    // keep the pool from its new password for ever.
    private static readonly TimeSpan ControlTimeout = TimeSpan.FromSeconds(30);

    protected override async Task WorkAsync(CancellationToken stoppingToken)
    {
        // The embedded default has no credentials, and a process does not move from it to a server.
        if (database.Value is not { ConnectionString: { } pools, ControlConnectionString: { } controls }) return;

        // One is enough: whoever reads it sees the newest.
        Channel<bool> reloads = Channel.CreateBounded<bool>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        using IDisposable registration = ChangeToken.OnChange(
            configuration.GetReloadToken, () => reloads.Writer.TryWrite(true));

        Task controlChange = Task.CompletedTask;

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

            // The control connections first: they confirm that the pool's former sessions are gone. A change that comes
            // meanwhile is read first, since it may end this one.
            Task reloaded = reloads.Reader.WaitToReadAsync(stoppingToken).AsTask();
            await Task.WhenAny(controlChange, reloaded, Task.Delay(ControlTimeout, clock, stoppingToken));
            if (reloaded.IsCompleted) continue;

            pools = newPools;
            _ = ChangeAsync(
                DatabaseOptions.ConnectionStringKey, newPools, pool.ChangeConnectionStringAsync, stoppingToken);
        }
        while (await reloads.Reader.ReadAsync(stoppingToken));
    }

    // The pool's is not waited for: while the server does not answer, the next change must not wait either; it ends
    // this one. The pool tells itself what came of it, in its log and its health.
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
