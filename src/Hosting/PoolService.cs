using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace UPool.Hosting;

/// <summary>
/// Opens the pool before any service of the host starts, so that no first request waits for a first connection, and
/// drains it after all have stopped.
/// </summary>
internal sealed class PoolService(IServiceProvider services) : IHostedLifecycleService
{
    // Null where something else owns the pool's life, and before the start. Kept, for a stop may be told twice, the
    // second time of a host that is being disposed.
    private PoolLife? _life;

    // Asked of the container only now: the options are checked by then, and refused in words.
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
