namespace UPool.Core;

/// <summary>Spent pending rents, to be used again: a wait then allocates nothing. Guarded by the pool's lock.</summary>
internal struct SpareRents
{
    // About 150 kB at most. In a longer queue, garbage collection costs less than the callers' waiting.
    private const int MaxCount = 1000;

    private PendingRent? _first;
    private int _count;

    /// <summary>A rent to use again; null when there is none.</summary>
    public PendingRent? Take()
    {
        PendingRent? rent = _first;
        if (rent is null) return null;

        _first = rent.NextPending;
        rent.NextPending = null;
        _count--;
        return rent;
    }

    /// <summary>Keeps a rent, if nothing refers to it any more.</summary>
    public void Put(PendingRent rent)
    {
        if (!rent.IsSpent || _count == MaxCount) return;

        rent.Reset();
        rent.NextPending = _first;
        _first = rent;
        _count++;
    }
}
