using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace UPool.Management;

/// <summary>
/// Keeps the process serving for a while after it is no longer ready. The host calls this before it stops any service,
/// and readiness follows the signal itself, so the order is: not ready, this delay, no new connections, the requests
/// under way, the silo. After a failed start there is no delay.
/// </summary>
internal sealed class ShutdownDelay(IOptions<ShutdownOptions> options, TimeProvider clock) : IHostedLifecycleService
{
    private bool _hasServed;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _hasServed = true;
        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken) =>
        _hasServed && options.Value.Delay > TimeSpan.Zero
            ? Task.Delay(options.Value.Delay, clock, cancellationToken)
            : Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
