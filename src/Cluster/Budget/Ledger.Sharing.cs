using System.Buffers;

namespace UPool.Cluster.Budget;

/// <content>
/// Decides which leases grow and which shrink. The shares are max-min fair by demand, floors first; permits that no
/// silo needs are distributed too, so that a burst need not ask.
/// </content>
/// <remarks>
/// Permits do not flap, because (1) a rise of demand counts at once and a fall only when it has lasted; (2) a silo
/// shrinks only while another lacks permits for present work, and all together by no more than is lacking: idle permits
/// never move to be idle elsewhere; (3) between two silos that saturate, permits move only for a difference of two or
/// more: moving one would be as uneven the other way round.
/// </remarks>
internal sealed partial class Ledger
{
    // The sum of Held over all records, updated with each.
    private int _held;

    // As of the last sharing; reduced as a batch grants permits.
    private int _free;
    private int _lacking;
    private int _lackingFloors;
    private int _shortage;

    private int _heldByOthers;
    private int _shared;
    private bool _isMismatched;
    private bool _isUneven = true;
    private bool _isLearning;

    /// <summary>Computes all shares, once per batch: a renewal costs its part of one pass over all entries. Measured in
    /// the worst case, with every silo wanting something else each time: 2 to 10 µs a renewal with 10 to 5,000 silos,
    /// and at most 2 ms a batch (<c>LedgerSpeedTests</c>).</summary>
    private void Share(TimeSpan now)
    {
        bool wasLearning = _isLearning;
        _isLearning = IsLearning(now);
        if (_isLearning != wasLearning) _isUneven = true;
        int heldByLive = NoteLive(now);
        if (_isUneven)
        {
            ChooseSettings();
            FillShares(Math.Max(0, _shared - (_held - heldByLive)));
            _isUneven = false;
        }

        int unused = _shared - _held;
        int lacking = 0, lackingFloors = 0, coming = 0, unrecorded = _countedOrphans;
        foreach (LeaseEntry entry in _entries.Values)
        {
            LeaseRecord record = entry.Record;
            int keeps = entry.IsLive ? Math.Max(entry.Need, entry.Stuck) : entry.IsHeard ? 0 : record.Held;
            unrecorded += Math.Max(0, entry.Seen - record.Held);
            lacking += Math.Max(0, entry.Need - record.Held);
            lackingFloors += LacksOfFloor(entry);
            if (!entry.IsReclaiming && now < entry.ExpiresAt)
                coming += Math.Max(0, record.Held - Math.Max(record.Permits, keeps));
        }

        // Sessions without a record count as used (INV-2), but are soon ended: they hold up growth and shrink no silo.
        _free = unused - unrecorded;
        _lacking = lacking;
        _lackingFloors = lackingFloors;
        _shortage = Math.Max(0, lacking - unused - coming);
    }

    /// <summary>Sets the permits of an entry whose request was applied.</summary>
    private LeaseReply Grant(LeaseEntry entry, LeaseRequest request)
    {
        LeaseRecord record = entry.Record;
        int permits = record.Permits;
        if (entry.IsLive && !_isLearning)
        {
            // Grow within what it already holds plus what is free, which is negative while more is held than the budget
            // has: a silo that wakes after its sessions were ended still counts them, and they must not become permits
            // (INV-2).
            // The permits that silos below their floor lack are kept for them, whichever silo asks first: otherwise
            // others, whose demand changes, would take each permit that becomes free.
            int floor = Math.Min(Floor(entry), record.Held + _free);
            int others = _lackingFloors - LacksOfFloor(entry);
            int wanted = Math.Max(floor, Math.Min(entry.Need, record.Held + _free - others));
            int idle = Math.Min(entry.Room, record.Held + Math.Min(_free, Math.Max(0, _free - _lacking)));
            int most = Math.Max(wanted, idle);
            if (most > permits) permits = most;
            else if (permits > entry.Room) permits -= Math.Min(permits - entry.Room, _shortage);
        }

        if (permits != record.Permits)
        {
            int grown = Math.Max(0, permits - record.Held);
            int lackedBefore = Math.Max(0, entry.Need - record.Held);
            int lackedOfFloor = LacksOfFloor(entry);
            _free -= grown;
            _lacking -= Math.Min(lackedBefore, grown);
            _lackingFloors -= Math.Min(lackedOfFloor, grown);
            if (permits < record.Permits) _shortage -= record.Permits - permits;
            record = record with { Grant = record.Grant + 1, Permits = permits, Held = record.Held + grown };
        }

        record = record with
        {
            Duration = Later(record.Duration, _settings.LeaseDuration),
            Grace = Later(record.Grace, _settings.Grace),
        };
        SetRecord(entry, record);
        return new LeaseReply
        {
            RequestSequence = request.Sequence,
            Status = _isLearning ? LeaseStatus.Learning : LeaseStatus.Granted,
            Grant = record.Grant,
            Permits = record.Permits,
            Duration = _settings.LeaseDuration,
            Grace = _settings.Grace,
            ServerConnections = _settings.ServerConnections,
            IsMismatched = _isMismatched,
        };
    }

    /// <summary>The permits it keeps whatever others want: no more than its share, if there is not enough for every
    /// floor.</summary>
    private int Floor(LeaseEntry entry) =>
        entry.IsLive ? Math.Min(entry.Need, Math.Min(_settings.Floor, entry.Ceiling)) : 0;

    private int LacksOfFloor(LeaseEntry entry) => Math.Max(0, Floor(entry) - entry.Record.Held);

    /// <summary>Updates which entries can be given permits; returns the sum of what those hold.</summary>
    private int NoteLive(TimeSpan now)
    {
        int held = 0;
        foreach (LeaseEntry entry in _entries.Values)
        {
            // It renewed in this batch, or its lease has not run out. One whose lease has ended keeps what it holds,
            // but gets no share.
            bool isLive = entry.Settings is not null && !entry.IsReclaiming && entry.Record.Role == LeaseRole.Silo
                && !entry.IsLeaving && (entry.IsRenewing || now < entry.ExpiresAt);
            if (isLive != entry.IsLive) _isUneven = true;
            entry.IsLive = isLive;
            if (isLive) held += entry.Record.Held;
        }

        // Connections held by others cannot be shared.
        int others = _held - held;
        if (others != _heldByOthers) _isUneven = true;
        _heldByOthers = others;
        return held;
    }

    /// <summary>Chooses the settings that leave the least to share. They apply to all, so that no live process sees its
    /// own number exceeded.</summary>
    private void ChooseSettings()
    {
        BudgetSettings? least = null;
        _isMismatched = false;
        foreach (LeaseEntry entry in _entries.Values)
        {
            if (entry.Settings is not { } settings || entry.IsReclaiming) continue;
            if (least is null)
            {
                least = settings;
                continue;
            }

            if (settings == least) continue;
            _isMismatched = true;
            if (IsLess(settings, least)) least = settings;
        }

        // Incarnations that have not renewed yet may be configured with the previous settings.
        if (_isLearning && (least is null || IsLess(_settings, least))) least = _settings;
        if (least is not null) _settings = least;
        _shared = BudgetSum.Of(_settings).Shared;
    }

    private static bool IsLess(BudgetSettings one, BudgetSettings other) =>
        BudgetSum.Of(one).Shared.CompareTo(BudgetSum.Of(other).Shared) switch
        {
            < 0 => true,
            > 0 => false,
            _ => one.ServerConnections < other.ServerConnections,
        };

    /// <summary>Computes every share by demand, then distributes the permits that no silo needs.</summary>
    private void FillShares(int available)
    {
        var live = new List<LeaseEntry>(_entries.Count);
        foreach (LeaseEntry entry in _entries.Values)
        {
            entry.Need = entry.Room = 0;
            if (entry.IsLive) live.Add(entry);
        }

        live.Sort(static (one, other) => one.Order.CompareTo(other.Order));
        int count = live.Count;
        Claim[] claims = ArrayPool<Claim>.Shared.Rent(count);
        int[] shares = ArrayPool<int>.Shared.Rent(count);
        int needed = 0;
        for (int at = 0; at < count; at++)
        {
            LeaseEntry entry = live[at];
            int least = Math.Max(entry.Stuck, Math.Min(_settings.Floor, entry.Ceiling));
            int most = Math.Max(least, Math.Min(entry.Wanted, entry.Ceiling));
            claims[at] = new Claim(least, most, entry.Weight, entry.Record.Permits);
        }

        FairShare.Fill(claims.AsSpan(0, count), available, shares);
        for (int at = 0; at < count; at++)
        {
            LeaseEntry entry = live[at];
            entry.Need = shares[at];
            needed += shares[at];
            int idle = Math.Max(0, entry.Ceiling - entry.Need);
            int has = Math.Max(0, entry.Record.Permits - entry.Need);
            claims[at] = new Claim(0, idle, entry.Weight, has);
        }

        FairShare.Fill(claims.AsSpan(0, count), available - needed, shares);
        for (int at = 0; at < count; at++) live[at].Room = live[at].Need + shares[at];
        ArrayPool<Claim>.Shared.Return(claims);
        ArrayPool<int>.Shared.Return(shares);
    }
}
