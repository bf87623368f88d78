using System.Diagnostics;

namespace UPool.Tests;

/// <summary>
/// Measures how late a bare timer fires on this machine during a test. The pool's guarantees come on top of that: a
/// shared machine that stops the whole process for 60 ms proves nothing about the pool.
/// </summary>
internal sealed class TimerLateness : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);

    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private double _worst;

    public TimerLateness() => _loop = Task.Run(MeasureAsync);

    /// <summary>The worst lateness so far.</summary>
    public double WorstMilliseconds => Volatile.Read(ref _worst);

    /// <summary>Asserts that something took at most this long, plus the lateness of a bare timer.</summary>
    public void AssertWithin(TimeSpan took, double milliseconds, string what) => Assert.True(
        took.TotalMilliseconds <= milliseconds + WorstMilliseconds,
        $"{what} took {took.TotalMilliseconds:0.0} ms instead of {milliseconds:0}; "
        + $"a bare timer was {WorstMilliseconds:0.0} late");

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
