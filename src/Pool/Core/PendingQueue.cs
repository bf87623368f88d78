namespace UPool.Core;

/// <summary>The pending rents in order of arrival (INV-4). Linked, so that removal costs O(1) at any place. Guarded by
/// the pool's lock.</summary>
internal struct PendingQueue
{
    private PendingRent? _head, _tail;

    public int Count { get; private set; }

    /// <summary>The longest-waiting rent; null when none waits.</summary>
    public readonly PendingRent? Head => _head;

    public void Enqueue(PendingRent rent)
    {
        rent.IsQueued = true;
        rent.PreviousPending = _tail;
        if (_tail is null) _head = rent;
        else _tail.NextPending = rent;
        _tail = rent;
        Count++;
    }

    public PendingRent? Dequeue()
    {
        PendingRent? rent = _head;
        if (rent is not null) Remove(rent);
        return rent;
    }

    /// <summary>Removes a rent; false when it was served or removed before.</summary>
    public bool Remove(PendingRent rent)
    {
        if (!rent.IsQueued) return false;

        if (rent.PreviousPending is null) _head = rent.NextPending;
        else rent.PreviousPending.NextPending = rent.NextPending;
        if (rent.NextPending is null) _tail = rent.PreviousPending;
        else rent.NextPending.PreviousPending = rent.PreviousPending;
        rent.NextPending = rent.PreviousPending = null;
        rent.IsQueued = false;
        Count--;
        return true;
    }
}
