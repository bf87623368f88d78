namespace UPool.Tests.Fakes;

/// <summary>A clock whose timers fire only on the test's command, as in a paused process.</summary>
internal sealed class ManualClock : TimeProvider
{
    private readonly List<ManualTimer> _timers = [];
    private long _now = TimeSpan.FromDays(1).Ticks;

    /// <summary>Called after each reading of the clock.</summary>
    public Action? Read { get; set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public bool IsAnyTimerRunning => _timers.Any(timer => timer.IsRunning);

    public void Pass(TimeSpan time) => _now += time.Ticks;

    public void FireTimers()
    {
        foreach (ManualTimer timer in _timers.Where(timer => timer.IsRunning)) timer.Fire();
    }

    public override long GetTimestamp()
    {
        long now = _now;
        Read?.Invoke();
        return now;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(() => callback(state));
        timer.Change(dueTime, period);
        _timers.Add(timer);
        return timer;
    }

    private sealed class ManualTimer(Action fire) : ITimer
    {
        public bool IsRunning { get; private set; }

        public void Fire() => fire();

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            IsRunning = dueTime != Timeout.InfiniteTimeSpan;
            return true;
        }

        public void Dispose() => IsRunning = false;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
