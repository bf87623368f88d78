using System.Diagnostics;

namespace UPool.Tests;

/// <summary>
/// How late a bare timer fires on this machine meanwhile. What the pool promises comes on top of that: a shared machine
/// that stops the whole process for 60 ms says nothing about the pool.
/// </summary>
internal sealed class TimerLateness : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);

    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private double _worst;

    public TimerLateness() => _loop = Task.Run(MeasureAsync);

    /// <summary>The latest so far.</summary>
    public double WorstMilliseconds => Volatile.Read(ref _worst);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    private async Task MeasureAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            long startedAt = Stopwatch.GetTimestamp();
            await Task.Delay(Interval);
            double late = (Stopwatch.GetElapsedTime(startedAt) - Interval).TotalMilliseconds;
            if (late > _worst) Volatile.Write(ref _worst, late);
        }
    }
}
