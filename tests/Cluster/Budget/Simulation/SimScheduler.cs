namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>True time in microseconds and the steps in it, one after the other on one thread; a seed determines the
/// whole run.</summary>
internal sealed class SimScheduler
{
    public const long Millisecond = 1_000;
    public const long Second = 1_000_000;

    // Ordered by time, then by order of arrival; packed into one number, because comparing is most of the work.
    private readonly PriorityQueue<Action, ulong> _queue = new();
    private uint _order;
    private int _atThisMoment;

    // More than any burst of a thousand silos: a step would be waiting for itself.
    private const int MostInAMoment = 1_000_000;

    /// <summary>True time, which no simulated process can read.</summary>
    public long Time { get; private set; }

    /// <summary>The number of steps so far.</summary>
    public long Steps { get; private set; }

    public void At(long time, Action step) =>
        _queue.Enqueue(step, (ulong)Math.Max(time, Time) << 32 | _order++);

    public void After(long delay, Action step) => At(Time + delay, step);

    /// <summary>Runs all steps up to a time, with a check after each.</summary>
    public void RunUntil(long time, Action afterEach)
    {
        while (_queue.TryPeek(out Action? step, out ulong at) && (long)(at >> 32) <= time)
        {
            _queue.Dequeue();
            _atThisMoment = Time == (long)(at >> 32) ? _atThisMoment + 1 : 0;
            if (_atThisMoment > MostInAMoment) throw new SimViolationException($"time does not advance at {Time} µs");

            Time = (long)(at >> 32);
            Steps++;
            step();
            afterEach();
        }

        Time = time;
    }
}
