namespace UPool.Core;

/// <summary>Pending rents that are over, to be used again: a wait then allocates nothing. Guarded by the pool's
/// lock.</summary>
internal struct SpareRents
{
    // Some 150 kB at most; a longer queue than this costs the collector less than its callers' patience.
    private const int MaxCount = 1000;

    private PendingRent? _first;
    private int _count;

    /// <summary>One to use again; null when there is none.</summary>
    public PendingRent? Take()
    {
        PendingRent? rent = _first;
        if (rent is null) return null;

        _first = rent.NextPending;
        rent.NextPending = null;
        _count--;
        return rent;
    }

    /// <summary>Keeps one, when nobody else still has to do with it.</summary>
    public void Put(PendingRent rent)
    {
        if (!rent.IsSpent || _count == MaxCount) return;

        rent.Reset();
        rent.NextPending = _first;
        _first = rent;
        _count++;
    }
}
