namespace UPool.Core;

/// <summary>An object with a deadline on a <see cref="DeadlineWheel"/>; at most once on one wheel at a time.</summary>
internal abstract class WheelEntry
{
    // Guarded by the wheel's lock.
    internal WheelEntry? Next, Previous;
    internal int Slot = -1;
    internal long DueAt;

    /// <summary>
    /// Called when the deadline may have passed: on a timer thread, outside the wheel's lock. The call can be late for
    /// an entry that was removed and added again, so the entry compares with its present deadline.
    /// </summary>
    internal abstract void OnDue(long now);
}

/// <summary>
/// All deadlines of a pool on one timer. Adding and removing cost the same for any number of entries; a timer object
/// per request would cost an allocation and a global queue. Fires at most one tick late, never early.
/// </summary>
internal sealed class DeadlineWheel : IDisposable
{
    // 10 ms keeps a caller within the 50 ms of INV-6, with room for scheduling. 512 slots reach 5.12 s in one turn, the
    // usual deadline of a request. Entries further away are checked once a turn.
    private const int SlotCount = 512;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);

    private readonly TimeProvider _clock;
    private readonly Action<Exception>? _blame;
    private readonly long _ticksPerSlot;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly WheelEntry?[] _slots = new WheelEntry?[SlotCount];
    private long _lastTick;
    private int _count;
    private bool _isTurning;
    private bool _disposed;

    /// <param name="clock">The clock.</param>
    /// <param name="blame">Called with the exception that an entry throws.</param>
    public DeadlineWheel(TimeProvider clock, Action<Exception>? blame = null)
    {
        _clock = clock;
        _blame = blame;
        _ticksPerSlot = Math.Max(1, (long)(Tick.TotalSeconds * clock.TimestampFrequency));

        // The timer lives as long as the pool: it must not carry the execution context of the pool's creator.
        using (ExecutionContext.SuppressFlow())
            _timer = clock.CreateTimer(static wheel => ((DeadlineWheel)wheel!).Turn(), this, Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many entries are on the wheel.</summary>
    public int Count
    {
        get
        {
            lock (_gate) return _count;
        }
    }

    /// <summary>Adds an entry that is due at a timestamp of the clock.</summary>
    public void Add(WheelEntry entry, long due)
    {
        lock (_gate)
        {
            if (entry.Slot >= 0) throw new InvalidOperationException("bug: the entry is on a wheel already.");
            if (_disposed) return;

            if (!_isTurning)
            {
                _isTurning = true;
                _lastTick = _clock.GetTimestamp() / _ticksPerSlot;
                _timer.Change(Tick, Tick);
            }

            // An entry before the next tick to check would wait for a whole turn.
            entry.DueAt = due;
            Link_NeedsLock(entry, (int)(Math.Max(due / _ticksPerSlot, _lastTick) % SlotCount));
            _count++;
        }
    }

    /// <summary>Removes an entry; does nothing when it is not on the wheel.</summary>
    public void Remove(WheelEntry entry)
    {
        lock (_gate)
        {
            if (entry.Slot < 0) return;

            // The timer runs until it finds no entries: they come and go much faster than it ticks, and setting it
            // costs more than adding or removing one.
            Unlink_NeedsLock(entry);
            _count--;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate) _disposed = true;
        _timer.Dispose();
    }

    private void Turn()
    {
        // OnDue is called outside the lock: it takes the pool's lock, and the pool adds and removes entries under that
        // lock.
        List<WheelEntry>? due = null;
        long now;
        lock (_gate)
        {
            now = _clock.GetTimestamp();
            long nowTick = now / _ticksPerSlot;

            // Check the last tick again: entries due later within it were too early then. After a pause of the process
            // more than a turn may have passed; check each slot once.
            for (long tick = Math.Max(_lastTick, nowTick - SlotCount + 1); tick <= nowTick; tick++)
            {
                WheelEntry? entry = _slots[tick % SlotCount];
                while (entry is not null)
                {
                    WheelEntry? next = entry.Next;
                    if (entry.DueAt <= now)
                    {
                        Unlink_NeedsLock(entry);
                        _count--;
                        (due ??= []).Add(entry);
                    }

                    entry = next;
                }
            }

            _lastTick = nowTick;
            if (_count == 0 && !_disposed)
            {
                _isTurning = false;
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }

        if (due is null) return;

        foreach (WheelEntry entry in due)
        {
            try
            {
                entry.OnDue(now);
            }
            catch (Exception exception)
            {
                // The others have left the wheel already: nothing else would tell them that they are due (INV-6).
                _blame?.Invoke(exception);
            }
        }
    }

    private void Link_NeedsLock(WheelEntry entry, int slot)
    {
        entry.Slot = slot;
        entry.Previous = null;
        entry.Next = _slots[slot];
        if (entry.Next is not null) entry.Next.Previous = entry;
        _slots[slot] = entry;
    }

    private void Unlink_NeedsLock(WheelEntry entry)
    {
        if (entry.Previous is null) _slots[entry.Slot] = entry.Next;
        else entry.Previous.Next = entry.Next;
        if (entry.Next is not null) entry.Next.Previous = entry.Previous;
        entry.Next = entry.Previous = null;
        entry.Slot = -1;
    }
}
