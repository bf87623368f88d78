namespace UPool.Core;

/// <content>Pending rents whose deadline has passed.</content>
internal sealed partial class ConnectionPool
{
    // The queue is looked at this often at least, and once more when nobody waits any more: then the wheel stands still
    // even where rents may wait for an hour.
    private static readonly TimeSpan MaxGiveUpInterval = TimeSpan.FromSeconds(1);

    private readonly QueueDeadline _queueDeadline;

    // When the queue is looked at next, on the wheel; long.MaxValue while it is not. Guarded by _gate.
    private long _giveUpAt = long.MaxValue;

    // Taken out of the queue past their time, and not refused yet. Guarded by _gate.
    private readonly List<PendingRent> _late = [];

    /// <summary>
    /// The queue's one entry on the wheel, not after the earliest deadline in it. Not one for each rent: nearly all are
    /// served before theirs, and putting each on the wheel and taking it off again cost as much as all the rest of a
    /// wait. A look at a thousand pending rents takes microseconds, at most once a tick.
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

    /// <summary>The longest-waiting rent that can still use a connection.</summary>
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

            // The wheel would have said so within a tick: never hand a connection to a request that has ended.
            _pending.Remove(rent);
            if (_late.Count == 0) Queue(static pool => pool.RefuseLate());
            _late.Add(rent);
        }

        return null;
    }

    /// <summary>Empties the queue of rents that will be refused for one and the same reason.</summary>
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

            // One for all, with the counts that the first of them leaves behind.
            refusal = Describe_NeedsLock(WhyWaiting_NeedsLock(), _pending.Count + late.Length - 1);
        }

        foreach (PendingRent rent in late)
        {
            rent.Complete(new RentOutcome(refusal));
            Telemetry.OnTimedOut();
        }
    }
}
