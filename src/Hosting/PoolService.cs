using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace UPool.Hosting;

/// <summary>
/// Opens the pool before any service of the host starts, so that the first request does not wait for the first
/// connection, and drains it after all services have stopped.
/// </summary>
internal sealed class PoolService(IServiceProvider services) : IHostedLifecycleService
{
    // Null before the start, and if an IPoolOwner is registered. Kept because a host may be stopped twice, the second
    // time while it is disposed.
    private PoolLife? _life;

    // Resolved only here: the options have been validated by now, with their own messages.
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (services.GetService<IPoolOwner>() is not null) return;

        _life = services.GetRequiredService<PoolLife>();
        await _life.OpenAsync(cancellationToken);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        if (_life is not null) services.GetRequiredService<ProcessStatus>().Started();
        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) =>
        _life?.DrainAsync(cancellationToken) ?? Task.CompletedTask;
}
