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

        // Before the host is run: it disposes its services when it ends.
        var lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        CancellationToken stopping = lifetime.ApplicationStopping;
        bool isStarted = false;
        await using (lifetime.ApplicationStarted.Register(() => isStarted = true))
        {
            try
            {
                await host.RunAsync();
                return 0;
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                // Told to stop while the start was still waiting for its database.
                return 0;
            }
            catch (Exception exception) when (!isStarted)
            {
                await Console.Error.WriteLineAsync(Describe(exception));
                return 1;
            }
        }
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
