namespace UPool.Core;

/// <content>Pending rents whose deadline has passed.</content>
internal sealed partial class ConnectionPool
{
    // The queue is checked at least this often, and once more when it has become empty: then the wheel stops, even
    // where rents may wait for an hour.
    private static readonly TimeSpan MaxGiveUpInterval = TimeSpan.FromSeconds(1);

    private readonly QueueDeadline _queueDeadline;

    // The time of the next check on the wheel; long.MaxValue while none is set. Guarded by _gate.
    private long _giveUpAt = long.MaxValue;

    // Removed from the queue after their deadline, and not refused yet. Guarded by _gate.
    private readonly List<PendingRent> _late = [];

    /// <summary>
    /// The queue's single entry on the wheel, due no later than the earliest deadline in the queue. One entry for each
    /// rent would cost as much as all the rest of a wait, and nearly all rents are served before their deadline. A
    /// check of a thousand pending rents takes microseconds, at most once a tick.
    /// </summary>
    private sealed class QueueDeadline(ConnectionPool pool) : WheelEntry
    {
        internal override void OnDue(long now) => pool.GiveUp(now);
    }

    private void GiveUpAt_NeedsLock(long due, long now)
    {
        StopGivingUp_NeedsLock();
        _giveUpAt = Math.Min(due, now + Ticks(MaxGiveUpInterval));
        Wheel.Add(_queueDeadline, _giveUpAt);
    }

    private void StopGivingUp_NeedsLock()
    {
        Wheel.Remove(_queueDeadline);
        _giveUpAt = long.MaxValue;
    }

    /// <summary>Removes and returns the longest-waiting rent that can still use a connection.</summary>
    private PendingRent? DequeueLive_NeedsLock(long now)
    {
        PendingRent? rent = PeekLive_NeedsLock(now);
        if (rent is not null) _pending.Remove(rent);
        return rent;
    }

    private PendingRent? PeekLive_NeedsLock(long now)
    {
        while (_pending.Head is { } rent)
        {
            if (rent.Due > now) return rent;

            // Its deadline has passed before the wheel's tick: never hand a connection to a request that has ended.
            _pending.Remove(rent);
            if (_late.Count == 0) Queue(static pool => pool.RefuseLate());
            _late.Add(rent);
        }

        return null;
    }

    /// <summary>Empties the queue; all its rents are refused for the same reason.</summary>
    private (List<PendingRent> Rents, RentRefusal Refusal) DequeueAll_NeedsLock(RefusalReason reason)
    {
        RentRefusal refusal = Describe_NeedsLock(reason);
        List<PendingRent> rents = [];
        _books.Rejected += _pending.Count;
        while (_pending.Dequeue() is { } rent) rents.Add(rent);
        StopGivingUp_NeedsLock();
        return (rents, refusal);
    }

    private void RefuseAll(List<PendingRent> rents, RentRefusal refusal)
    {
        foreach (PendingRent rent in rents)
        {
            rent.Complete(new RentOutcome(refusal));
            Telemetry.OnRefused(refusal.Reason);
        }
    }

    private void GiveUp(long now)
    {
        lock (_gate)
        {
            StopGivingUp_NeedsLock();
            long earliest = long.MaxValue;
            for (PendingRent? rent = _pending.Head, next; rent is not null; rent = next)
            {
                next = rent.NextPending;
                if (rent.Due > now)
                {
                    earliest = Math.Min(earliest, rent.Due);
                    continue;
                }

                _pending.Remove(rent);
                _late.Add(rent);
            }

            if (_pending.Count > 0) GiveUpAt_NeedsLock(earliest, now);
        }

        RefuseLate();
    }

    private void RefuseLate()
    {
        PendingRent[] late;
        RentRefusal refusal;
        lock (_gate)
        {
            if (_late.Count == 0) return;

            late = [.. _late];
            _late.Clear();
            _books.TimedOut += late.Length;

            // One refusal for all, with the counts after the first of them has left the queue.
            refusal = Describe_NeedsLock(WhyWaiting_NeedsLock(), _pending.Count + late.Length - 1);
        }

        foreach (PendingRent rent in late)
        {
            rent.Complete(new RentOutcome(refusal));
            Telemetry.OnTimedOut();
        }
    }
}
