using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace UPool.Bench.DelayProxy;

/// <summary>
/// Completes tasks one fixed delay after they were requested. One thread sleeps for all of them, with the kernel's
/// resolution: .NET's timers have whole milliseconds, and half of one would become up to two.
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

    /// <summary>Returns a task that completes one delay from now.</summary>
    public Task StartAsync()
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Add((Stopwatch.GetTimestamp() + _delay, done));
        return done.Task;
    }

    public void Dispose() => _waiting.CompleteAdding();

    // All delays are equal, so tasks become due in the order of the requests.
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
