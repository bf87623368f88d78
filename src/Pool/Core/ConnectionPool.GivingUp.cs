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

    private void GiveUp(long now)
    {
        List<PendingRent> late = [];
        RentRefusal? refusal = null;
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
                late.Add(rent);

                // One for all, with the counts that the first of them leaves behind.
                refusal ??= Refuse_NeedsLock(WhyTimedOut_NeedsLock());
            }

            if (_pending.Count > 0) GiveUpAt_NeedsLock(earliest, now);
            _timedOut += late.Count;
        }

        if (refusal is null) return;

        foreach (PendingRent rent in late)
        {
            Telemetry.OnTimedOut();
            rent.Complete(new RentOutcome(refusal));
        }
    }
}
