namespace UPool.Cluster.Budget;

/// <summary>One incarnation in the coordinator's memory: its record, and the state that is not stored because it
/// follows from the clock or from the next renewal.</summary>
internal sealed class LeaseEntry
{
    public LeaseEntry(LeaseRecord record, long order)
    {
        Record = record;
        Order = order;
    }

    /// <summary>The order among equals: older first.</summary>
    public long Order { get; }

    /// <summary>The record, including the batch that is being written.</summary>
    public LeaseRecord Record { get; set; }

    /// <summary>The record as last written; null for a newcomer whose batch is being written.</summary>
    public LeaseRecord? Committed { get; set; }

    /// <summary>The end of its lease by the coordinator's clock.</summary>
    public TimeSpan ExpiresAt { get; set; }

    /// <summary>The end of its grace.</summary>
    public TimeSpan GraceEndsAt { get; set; }

    /// <summary>Whether this activation has answered it.</summary>
    public bool IsHeard { get; set; }

    /// <summary>When it last renewed.</summary>
    public TimeSpan RenewedAt { get; set; }

    /// <summary>Its pool's sessions at the last look at the server; 0 if it has renewed since, because its own figures
    /// are newer. More than it holds means that the server lost the write of its grant.</summary>
    public int Seen { get; set; }

    /// <summary>Whether the last look found any of its sessions.</summary>
    public bool IsSeen { get; set; }

    /// <summary>Whether its last request said that it leaves.</summary>
    public bool IsLeaving { get; set; }

    /// <summary>Whether a renewal of it is being applied or written.</summary>
    public bool IsRenewing { get; set; }

    /// <summary>Whether its sessions are being ended: it gets no lease before the server confirms that they are
    /// gone.</summary>
    public bool IsReclaiming { get; set; }

    /// <summary>Whether it can be given permits, as of the last sharing.</summary>
    public bool IsLive { get; set; }

    /// <summary>Its figures at its last renewal.</summary>
    public LeaseFigures Figures { get; set; }

    /// <summary>Its configuration at its last renewal; null if this activation has had none.</summary>
    public BudgetSettings? Settings { get; set; }

    /// <summary>The most permits it can use.</summary>
    public int Ceiling { get; set; }

    /// <summary>Its weight beside others.</summary>
    public int Weight { get; set; } = 1;

    /// <summary>How many permits it could use, smoothed (see <see cref="Believe"/>).</summary>
    public int Wanted { get; private set; }

    /// <summary>Its used connections, if they exceed the permits that it has applied; else 0. It cannot return them
    /// before their renters do.</summary>
    public int Stuck { get; set; }

    /// <summary>Its share by demand; the idle permits of others do not reduce it.</summary>
    public int Need { get; set; }

    /// <summary>Its share when the permits that no silo needs are distributed too.</summary>
    public int Room { get; set; }

    // The demand in the current step, and in the one before.
    private int _newer;
    private int _older;
    private TimeSpan _since;

    /// <summary>
    /// Updates the demand. A rise counts at once, because rents wait. A fall counts once it has lasted: the figures
    /// hold the peak since the previous request, and a silo that shrinks or waits asks so often that a moment without
    /// load would look like its end, and permits would move back and forth.
    /// </summary>
    /// <returns>Whether the smoothed demand changed.</returns>
    public bool Believe(int wanted, TimeSpan now, TimeSpan interval)
    {
        // Two steps together are shorter than the half interval after which a silo with less demand asks again.
        TimeSpan step = interval / 5;
        if (now - _since >= step)
        {
            _older = now - _since >= 2 * step ? 0 : _newer;
            _newer = 0;
            _since = now;
        }

        _newer = Math.Max(_newer, wanted);
        int before = Wanted;
        Wanted = Math.Max(_newer, _older);
        return Wanted != before;
    }
}
