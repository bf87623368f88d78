namespace UPool.Cluster.Budget;

/// <summary>One incarnation in the coordinator's memory: its record, and what only a clock or the next renewal
/// knows.</summary>
internal sealed class LeaseEntry
{
    public LeaseEntry(LeaseRecord record, long order)
    {
        Record = record;
        Order = order;
    }

    /// <summary>Where it stands among equals; the older first.</summary>
    public long Order { get; }

    /// <summary>With the batch that is being written.</summary>
    public LeaseRecord Record { get; set; }

    /// <summary>As it was last written; null for a newcomer whose batch is being written.</summary>
    public LeaseRecord? Committed { get; set; }

    /// <summary>The end of its lease by the coordinator's clock.</summary>
    public TimeSpan ExpiresAt { get; set; }

    /// <summary>The end of its grace.</summary>
    public TimeSpan GraceEndsAt { get; set; }

    /// <summary>Whether it was answered by this activation.</summary>
    public bool IsHeard { get; set; }

    /// <summary>When it last renewed.</summary>
    public TimeSpan RenewedAt { get; set; }

    /// <summary>Its pool's sessions by the last look at the server, unless it has renewed since: then its own figures
    /// are newer. More than it holds means that the server lost what it was given.</summary>
    public int Seen { get; set; }

    /// <summary>Whether the last look found any session of its.</summary>
    public bool IsSeen { get; set; }

    /// <summary>Whether its last request said that it leaves.</summary>
    public bool IsLeaving { get; set; }

    /// <summary>Whether a renewal of it is being applied or written.</summary>
    public bool IsRenewing { get; set; }

    /// <summary>Whether its sessions are being ended: no way back but through the server's word.</summary>
    public bool IsReclaiming { get; set; }

    /// <summary>Whether it can be given permits; as of the last look at the clock.</summary>
    public bool IsLive { get; set; }

    /// <summary>What it counted when it last renewed.</summary>
    public LeaseFigures Figures { get; set; }

    /// <summary>What it was configured with when it last renewed; null when it was not heard of yet.</summary>
    public BudgetSettings? Settings { get; set; }

    /// <summary>The most permits it can use.</summary>
    public int Ceiling { get; set; }

    /// <summary>Its share beside others.</summary>
    public int Weight { get; set; } = 1;

    /// <summary>How many permits it could use, smoothed (see <see cref="Believe"/>).</summary>
    public int Wanted { get; private set; }

    /// <summary>Connections in use beyond its permits, which it was told and which it cannot hand back before their
    /// renters do.</summary>
    public int Stuck { get; set; }

    /// <summary>Its share of the permits by what is wanted: nobody's idle permits stand before it.</summary>
    public int Need { get; set; }

    /// <summary>Its share when what nobody wants is shared too.</summary>
    public int Room { get; set; }

    // What was wanted in the step that runs, and in the one before.
    private int _newer;
    private int _older;
    private TimeSpan _since;

    /// <summary>
    /// Takes in what is wanted. A rise counts at once: rents wait. A fall counts when it has lasted: the figures hold
    /// the peak since the request before, and a silo that shrinks or waits asks so often that a moment without load
    /// would look like the end of it, and permits would move there and back.
    /// </summary>
    /// <returns>Whether it changed.</returns>
    public bool Believe(int wanted, TimeSpan now, TimeSpan interval)
    {
        // Two steps together are less than the half interval after which whoever has less to do asks again.
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
