using Microsoft.Extensions.Hosting;

namespace UPool.Hosting;

/// <summary>A background service whose cancellation by its host is never logged as a failure.</summary>
/// <remarks>A host that was not told to stop treats a cancelled service as failed and logs it as Critical. A host that
/// is disposed after a failed start was not told to stop.</remarks>
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

    /// <summary>The work. May throw <see cref="OperationCanceledException"/> once the token is cancelled.</summary>
    protected abstract Task WorkAsync(CancellationToken stoppingToken);
}
