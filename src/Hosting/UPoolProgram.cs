using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Runs the host of a process of uPool, and ends it with a line rather than a stack trace.</summary>
public static class UPoolProgram
{
    /// <summary>Runs a host until it is told to stop. A start that fails is told in one plain line on standard
    /// error.</summary>
    /// <returns>The exit code of the process: 0 when it was told to stop, 1 when the start failed. A silo that the
    /// others have declared dead ends without returning, with 3.</returns>
    public static async Task<int> RunUPoolAsync(this IHost host)
    {
        ArgumentNullException.ThrowIfNull(host);
        CancellationToken stopping = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        try
        {
            if (await TryStartAsync(host, stopping) is { } code) return code;

            await host.WaitForShutdownAsync();
            return 0;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // It did not stop within its bound.
            return 0;
        }
        finally
        {
            await DisposeAsync(host);
        }
    }

    /// <summary>Starts the host.</summary>
    /// <returns>Null when it is started, else the exit code of the process: the host is then stopped.</returns>
    private static async Task<int?> TryStartAsync(IHost host, CancellationToken stopping)
    {
        int code;
        try
        {
            await host.StartAsync(CancellationToken.None);
            return null;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Told to stop while the start was still waiting for its database.
            code = 0;
        }
        catch (Exception exception)
        {
            await Console.Error.WriteLineAsync(Describe(exception));
            code = 1;
        }

        // Services start side by side, so some run already. The host takes those for failed that its disposal ends,
        // and a silo that has joined leaves the others without a word.
        try
        {
            await host.StopAsync(CancellationToken.None);
        }
        catch (Exception)
        {
            // What failed to start may fail to stop as well, and adds nothing to what was said.
        }

        return code;
    }

    private static async ValueTask DisposeAsync(IHost host)
    {
        if (host is IAsyncDisposable disposable) await disposable.DisposeAsync();
        else host.Dispose();
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
