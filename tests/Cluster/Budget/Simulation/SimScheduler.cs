namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>True time and what happens in it, one step after the other on one thread: a seed decides everything.
/// Microseconds.</summary>
internal sealed class SimScheduler
{
    public const long Millisecond = 1_000;
    public const long Second = 1_000_000;

    // Time and, among steps of one moment, their order of arrival; packed, because comparing is most of the work.
    private readonly PriorityQueue<Action, ulong> _queue = new();
    private uint _order;
    private int _atThisMoment;

    // Beyond any burst of a thousand silos: something waits for itself.
    private const int MostInAMoment = 1_000_000;

    /// <summary>True time, which nobody in the simulation can read.</summary>
    public long Time { get; private set; }

    /// <summary>The steps so far.</summary>
    public long Steps { get; private set; }

    public void At(long time, Action step) =>
        _queue.Enqueue(step, (ulong)Math.Max(time, Time) << 32 | _order++);

    public void After(long delay, Action step) => At(Time + delay, step);

    /// <summary>Runs all steps up to a moment, and looks after each.</summary>
    public void RunUntil(long time, Action afterEach)
    {
        while (_queue.TryPeek(out Action? step, out ulong at) && (long)(at >> 32) <= time)
        {
            _queue.Dequeue();
            _atThisMoment = Time == (long)(at >> 32) ? _atThisMoment + 1 : 0;
            if (_atThisMoment > MostInAMoment) throw new SimViolationException($"time stands still at {Time} µs");

            Time = (long)(at >> 32);
            Steps++;
            step();
            afterEach();
        }

        Time = time;
    }
}
