using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace UPool.Hosting;

/// <summary>
/// Opens the pool before any service of the host starts, so that no first request waits for a first connection, and
/// drains it after all have stopped.
/// </summary>
internal sealed class PoolService(IServiceProvider services) : IHostedLifecycleService
{
    private bool IsOwner => services.GetService<IPoolOwner>() is null;

    // Asked of the container only now: the options are checked by then, and refused in words.
    public Task StartingAsync(CancellationToken cancellationToken) => IsOwner
        ? services.GetRequiredService<PoolLife>().OpenAsync(cancellationToken)
        : Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        if (IsOwner) services.GetRequiredService<ProcessStatus>().Started();
        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => IsOwner
        ? services.GetRequiredService<PoolLife>().DrainAsync(cancellationToken)
        : Task.CompletedTask;
}
