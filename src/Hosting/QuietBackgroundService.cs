using Microsoft.Extensions.Hosting;

namespace UPool.Hosting;

/// <summary>A background service whose end by its host is no failure, however the host ends.</summary>
/// <remarks>The host takes a cancelled service for a failed one unless it has been told to stop, and logs it as
/// Critical: one that is disposed after a failed start has not been.</remarks>
internal abstract class QuietBackgroundService : BackgroundService
{
    /// <summary>Runs <see cref="WorkAsync"/> until the host stops or is disposed.</summary>
    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await WorkAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    /// <summary>The work. May end with an <see cref="OperationCanceledException"/> once it is told to stop.</summary>
    protected abstract Task WorkAsync(CancellationToken stoppingToken);
}
