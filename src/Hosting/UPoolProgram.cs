using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Runs the host of a uPool process; a failed start prints one line, not a stack trace.</summary>
public static class UPoolProgram
{
    /// <summary>Runs a host until it is told to stop. A failed start prints one line on standard error.</summary>
    /// <returns>The exit code of the process: 0 if it was told to stop, 1 if the start failed. A silo that the others
    /// have declared dead exits with 3 and does not return.</returns>
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
            // The host did not stop within its shutdown timeout.
            return 0;
        }
        finally
        {
            await DisposeAsync(host);
        }
    }

    /// <summary>Starts the host.</summary>
    /// <returns>Null if it has started, else the exit code of the process; the host is then stopped.</returns>
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

        // Services start concurrently, so some run already. Disposal alone would log them as failed, and a silo that
        // has joined would not leave the cluster properly.
        try
        {
            await host.StopAsync(CancellationToken.None);
        }
        catch (Exception)
        {
            // A service that failed to start may fail to stop too; that error adds nothing.
        }

        return code;
    }

    private static async ValueTask DisposeAsync(IHost host)
    {
        if (host is IAsyncDisposable disposable) await disposable.DisposeAsync();
        else host.Dispose();
    }

    /// <summary>Describes a failed start in one line.</summary>
    public static string Describe(Exception exception)
    {
        // Services start concurrently: one failure cancels the others, whose cancellations explain nothing.
        Exception cause = exception is AggregateException { InnerExceptions: [var first, ..] } all
            ? all.InnerExceptions.FirstOrDefault(static inner => inner is not OperationCanceledException) ?? first
            : exception;
        string text = cause is OptionsValidationException validation
            ? string.Join(" ", validation.Failures)
            : cause.Message.ReplaceLineEndings(" ");
        return $"uPool cannot start: {text}";
    }
}
