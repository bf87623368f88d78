using UPool.MySql;

namespace UPool.Cluster.Budget;

/// <content>The server's word: time alone frees nothing (INV-2).</content>
internal sealed partial class Ledger
{
    // Sessions of nobody the ledger knows, with when they were first seen.
    private Dictionary<(long Id, string Host), TimeSpan> _orphans = [];

    private int _countedOrphans;

    // What the server said while a batch was being written; taken in before the next.
    private readonly List<string> _gone = [];

    private TimeSpan _reclaimNotBefore;

    /// <summary>
    /// The incarnations whose lease and grace have run out. Their sessions are to be ended until the server knows none
    /// of them any more; then <see cref="ReportGone"/>. The same ones again until then. From here on they are not
    /// renewed, so that nothing is opened between the look and the report.
    /// </summary>
    public IReadOnlyList<string> Reclaims(TimeSpan now)
    {
        // When nothing can be written nobody can renew, and the server would not answer anyway.
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

    /// <summary>The server has said that it knows none of this incarnation's registered sessions.</summary>
    public void ReportGone(string incarnation)
    {
        _gone.Add(incarnation);
        if (_writing is null) TakeServersWord();
    }

    /// <summary>Whether the server should be looked at now rather than some time: nobody grows before, or sessions of
    /// nobody hold growth up.</summary>
    public bool WantsLook(TimeSpan now) => (_mustLook && now >= _learnUntil) || _orphans.Count > 0;

    /// <summary>
    /// Takes in all sessions of the deployment's account. Those of nobody the ledger knows count as used until they are
    /// gone; those that are so for longer than a lease with its grace are to be ended.
    /// </summary>
    /// <param name="sessions">All of them: of the process list, with who registered them.</param>
    /// <param name="server">Which server it was, and which life of it.</param>
    /// <param name="askedAt">The coordinator's time before the server was asked.</param>
    public IReadOnlyList<DeploymentSession> Observe(
        IReadOnlyCollection<DeploymentSession> sessions, ServerLife server, TimeSpan askedAt)
    {
        // What was seen on another server, or before a restart, is not this one's.
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

            // The sum has room for every process's control connections; whose process is gone goes by its record.
            if (session.IsControl) continue;

            (long, string) key = (session.Id, session.Host);
            TimeSpan since = _orphans.TryGetValue(key, out TimeSpan first) ? first : askedAt;
            orphans[key] = since;

            // One that is just being opened is its silo's, with a permit. If it stays it is that of a process that is
            // stopped inside an open, which the reserve covers until now.
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

        if (_writing is null) TakeServersWord();
        return overdue ?? (IReadOnlyList<DeploymentSession>)[];
    }

    /// <summary>Everything, as operators see it.</summary>
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
                Wait = WhyWaits(entry, isLearning),
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

    private LeaseWait WhyWaits(LeaseEntry entry, bool isLearning)
    {
        LeaseRecord record = entry.Record;
        if (record.Role != LeaseRole.Silo || entry.Wanted <= record.Permits) return LeaseWait.None;
        if (isLearning) return LeaseWait.Learning;
        if (_entries.Values.Any(static one => one.IsReclaiming && one.Record.Held > 0)) return LeaseWait.Reclaims;
        if (record.Permits >= entry.Need) return LeaseWait.FairShare;

        return _countedOrphans > 0 ? LeaseWait.Orphans : LeaseWait.Shrinks;
    }

    /// <summary>Nothing could be written for so long that leases are running out for that reason alone.</summary>
    private bool IsCutOff(TimeSpan now) => now - _committedAt > _settings.LeaseDuration / 2;

    private void TakeServersWord()
    {
        foreach (string incarnation in _gone)
        {
            // Reported late, after it came back: then it is not gone. It was not looked for either.
            if (!_entries.TryGetValue(incarnation, out LeaseEntry? entry)) continue;
            if (entry.IsReclaiming || (entry.Record.HasLeft && !entry.IsRenewing)) Remove(entry);
        }

        _gone.Clear();
    }
}
