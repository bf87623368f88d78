using System.Diagnostics;

using UPool.Bench.Runner.Overload;

namespace UPool.Bench.Runner.Growth;

/// <summary>A fixed number of callers, each of which rents again as soon as its statement is done.</summary>
internal static class ClosedLoop
{
    private const string Work = "SELECT 1";

    /// <summary>The processor time of this process per rent with its statement, in microseconds.</summary>
    public static async Task<double> RunAsync(IPool pool, int callers, TimeSpan length)
    {
        long done = 0;
        TimeSpan before = Environment.CpuUsage.TotalTime;
        long startedAt = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            while (Stopwatch.GetElapsedTime(startedAt) < length)
            {
                if (!await pool.TryExecuteAsync(Work))
                    throw new InvalidOperationException($"{pool.Name} refused one of {callers} callers.");
                Interlocked.Increment(ref done);
            }
        })));
        return (Environment.CpuUsage.TotalTime - before).TotalMicroseconds / done;
    }
}
