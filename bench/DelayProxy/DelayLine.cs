using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace UPool.Bench.DelayProxy;

/// <summary>
/// Completes tasks one fixed delay after they were asked for. One thread sleeps for all of them, in the kernel's own
/// resolution: .NET's timers count whole milliseconds, and would make half of one into anything up to two.
/// </summary>
internal sealed class DelayLine : IDisposable
{
    private readonly BlockingCollection<(long Due, TaskCompletionSource Done)> _waiting = [];
    private readonly long _delay;

    public DelayLine(TimeSpan delay)
    {
        _delay = (long)(delay.TotalSeconds * Stopwatch.Frequency);
        new Thread(Run) { IsBackground = true, Name = "delay" }.Start();
    }

    /// <summary>Is complete one delay from now.</summary>
    public Task StartAsync()
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Add((Stopwatch.GetTimestamp() + _delay, done));
        return done.Task;
    }

    public void Dispose() => _waiting.CompleteAdding();

    // All delays are the same, so the order of asking is the order of being due.
    private void Run()
    {
        foreach ((long due, TaskCompletionSource done) in _waiting.GetConsumingEnumerable())
        {
            long left = due - Stopwatch.GetTimestamp();
            if (left > 0) _ = SleepMicroseconds((uint)(left * 1_000_000 / Stopwatch.Frequency));
            done.SetResult();
        }
    }

    [DllImport("libc", EntryPoint = "usleep")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SleepMicroseconds(uint microseconds);
}
