using UPool.MySql;

namespace UPool.Cluster.Budget;

/// <content>The server's reports: time alone frees nothing (INV-2).</content>
internal sealed partial class Ledger
{
    // Sessions that belong to no incarnation in the ledger (orphans), with the time when each was first seen.
    private Dictionary<(long Id, string Host), TimeSpan> _orphans = [];

    private int _countedOrphans;

    // Incarnations reported gone while a batch was being written; removed before the next.
    private readonly List<string> _gone = [];

    private TimeSpan _reclaimNotBefore;

    /// <summary>
    /// The incarnations whose lease and grace have run out. Their sessions are to be ended until the server knows none
    /// of them any more; then call <see cref="ReportGone"/>. Until then each call returns them again. From here on they
    /// are not renewed, so that nothing is opened between the look and the report.
    /// </summary>
    public IReadOnlyList<string> Reclaims(TimeSpan now)
    {
        // While nothing can be written no lease can be renewed, and the server would not answer anyway.
        if (IsCutOff(now) || now < _reclaimNotBefore) return [];

        List<string>? found = null;
        foreach (LeaseEntry entry in _entries.Values)
        {
            if (!entry.IsReclaiming && (now < entry.GraceEndsAt || entry.IsRenewing)) continue;

            entry.IsReclaiming = true;
            (found ??= []).Add(entry.Record.Incarnation);
        }

        return found ?? (IReadOnlyList<string>)[];
    }

    /// <summary>The server knows none of this incarnation's registered sessions.</summary>
    public void ReportGone(string incarnation)
    {
        _gone.Add(incarnation);
        if (_writing is null) ApplyServerReports();
    }

    /// <summary>Whether to look at the server now and not later: no lease grows before the look, or orphans hold growth
    /// up.</summary>
    public bool WantsLook(TimeSpan now) => (_mustLook && now >= _learnUntil) || _orphans.Count > 0;

    /// <summary>
    /// Applies a look at all sessions of the deployment's account. Orphans, which belong to no incarnation in the
    /// ledger, count as used until they are gone. Returns those that have lasted for a lease with its grace: they are
    /// to be ended.
    /// </summary>
    /// <param name="sessions">All sessions of the process list, with the incarnation that registered each.</param>
    /// <param name="server">The server, and its run since its last start.</param>
    /// <param name="askedAt">The coordinator's time before the server was asked.</param>
    public IReadOnlyList<DeploymentSession> Observe(
        IReadOnlyCollection<DeploymentSession> sessions, ServerLife server, TimeSpan askedAt)
    {
        // Sessions seen on another server, or before a restart, are not on this one.
        if (server.Start != _serverStart) _orphans.Clear();
        TimeSpan patience = _settings.LeaseDuration + _settings.Grace;
        var orphans = new Dictionary<(long Id, string Host), TimeSpan>();
        int counted = 0;
        List<DeploymentSession>? overdue = null;
        foreach (LeaseEntry entry in _entries.Values) (entry.IsSeen, entry.Seen) = (false, 0);
        foreach (DeploymentSession session in sessions)
        {
            if (session.Incarnation is { } incarnation && _entries.TryGetValue(incarnation, out LeaseEntry? owner))
            {
                owner.IsSeen = true;
                if (!session.IsControl && owner.RenewedAt < askedAt) owner.Seen++;
                continue;
            }

            // The budget's sum covers every process's control connections; those of a dead process are covered by its
            // record.
            if (session.IsControl) continue;

            (long, string) key = (session.Id, session.Host);
            TimeSpan since = _orphans.TryGetValue(key, out TimeSpan first) ? first : askedAt;
            orphans[key] = since;

            // An unregistered session on its first look is being opened by a silo, with a permit. If it stays, its
            // process is stopped inside an open, which the reserve has covered until now.
            if (session.Incarnation is not null || since < askedAt) counted++;
            if (askedAt - since >= patience) (overdue ??= []).Add(session);
        }

        _orphans = orphans;
        _countedOrphans = counted;
        _serverStart = server.Start;
        _serverName = server.Name;
        if (askedAt >= _learnUntil) _mustLook = false;
        foreach (LeaseEntry entry in _entries.Values)
        {
            // It left, and its control connections are gone too: its place is free.
            if (entry.Record.HasLeft && !entry.IsRenewing && !entry.IsSeen)
                _gone.Add(entry.Record.Incarnation);
        }

        if (_writing is null) ApplyServerReports();
        return overdue ?? (IReadOnlyList<DeploymentSession>)[];
    }

    /// <summary>The ledger as operators see it.</summary>
    public BudgetView View(TimeSpan now)
    {
        bool isLearning = IsLearning(now);
        return new BudgetView
        {
            ServerConnections = _settings.ServerConnections,
            Shared = _shared,
            Held = _held,
            Orphans = _countedOrphans,
            IsLearning = isLearning,
            IsMismatched = _isMismatched,
            Revision = _committed.Revision,
            Leases = [.. _entries.Values.Select(entry => new LeaseView
            {
                Incarnation = entry.Record.Incarnation,
                Role = entry.Record.Role,
                State = StateOf(entry, now),
                Permits = entry.Record.Permits,
                Held = entry.Record.Held,
                Wanted = entry.Wanted,
                Wait = DescribeWait(entry, isLearning),
                Remaining = Later(TimeSpan.Zero, entry.ExpiresAt - now),
                Figures = entry.Figures,
            })],
        };
    }

    private static LeaseState StateOf(LeaseEntry entry, TimeSpan now) =>
        entry.IsReclaiming ? LeaseState.Reclaiming
        : entry.IsLeaving ? LeaseState.Leaving
        : !entry.IsHeard ? LeaseState.Unheard
        : now >= entry.ExpiresAt ? LeaseState.Expired
        : entry.Record.Held > entry.Record.Permits ? LeaseState.Shrinking
        : LeaseState.Live;

    private LeaseWait DescribeWait(LeaseEntry entry, bool isLearning)
    {
        LeaseRecord record = entry.Record;
        if (record.Role != LeaseRole.Silo || entry.Wanted <= record.Permits) return LeaseWait.None;
        if (isLearning) return LeaseWait.Learning;
        if (_entries.Values.Any(static one => one.IsReclaiming && one.Record.Held > 0)) return LeaseWait.Reclaims;
        if (record.Permits >= entry.Need) return LeaseWait.FairShare;

        return _countedOrphans > 0 ? LeaseWait.Orphans : LeaseWait.Shrinks;
    }

    /// <summary>Whether nothing could be written for so long that leases run out for that reason alone.</summary>
    private bool IsCutOff(TimeSpan now) => now - _committedAt > _settings.LeaseDuration / 2;

    private void ApplyServerReports()
    {
        foreach (string incarnation in _gone)
        {
            // A late report: the incarnation has come back since, so it is not gone and was not looked for.
            if (!_entries.TryGetValue(incarnation, out LeaseEntry? entry)) continue;
            if (entry.IsReclaiming || (entry.Record.HasLeft && !entry.IsRenewing)) Remove(entry);
        }

        _gone.Clear();
    }
}
