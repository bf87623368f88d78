namespace UPool.Cluster.Budget;

/// <summary>
/// The permits that each incarnation of the deployment may hold (INV-2). Pure: the coordinator's grain passes in the
/// requests, the server's reports and its own monotonic time, and writes the resulting state before any request is
/// answered.
/// </summary>
/// <remarks>
/// <para>The coordinator's loop: gather requests; <see cref="Apply"/> them to a copy; write its state on condition that
/// no other activation has written; then <see cref="Commit"/>, and answer. If it is known not to be written:
/// <see cref="Abort"/>. If that is unknown, or on a conflict: read, and <see cref="TryResume"/>; if another activation
/// has written, this ledger and its activation are over. Not thread-safe; one batch at a time.</para>
/// <para>How the sum is kept: each incarnation's <see cref="LeaseRecord.Held"/> is the most sessions it can have by any
/// answer that it was ever given and has not acknowledged, and no lease grows beyond what all of them leave. It falls
/// in two ways only: the incarnation reports it, in a request newer than all its others, or the server confirms that
/// its sessions are gone.</para>
/// <para>Read in this order: this file applies and commits, <c>.Renewing</c> judges one request, <c>.Sharing</c>
/// decides which leases grow and which shrink, <c>.Server</c> applies the server's reports.</para>
/// </remarks>
internal sealed partial class Ledger
{
    private readonly Dictionary<string, LeaseEntry> _entries = new(StringComparer.Ordinal);
    private readonly string _writer;

    private LedgerState _committed;
    private LedgerBatch? _writing;
    private string _serverStart;
    private string _serverName;
    private readonly (string Writer, long Revision) _takenOver;

    private BudgetSettings _settings;
    private TimeSpan _learnUntil;
    private TimeSpan _committedAt;
    private bool _mustLook;
    private long _lastOrder;
    private int _silos;
    private int _clients;

    /// <summary>A coordinator takes over. No lease grows, and newcomers get nothing, before every recorded lease has
    /// been renewed or has run out with its grace.</summary>
    /// <param name="state">The stored state; a new record if there is none.</param>
    /// <param name="writer">This activation, by a name that no other ever has.</param>
    /// <param name="server">The server as it is now.</param>
    /// <param name="own">The configuration of this process: in force until the first request, if the state has
    /// none.</param>
    /// <param name="now">The coordinator's time.</param>
    /// <exception cref="InvalidOperationException">The state has a newer format than this code knows.</exception>
    public Ledger(LedgerState state, string writer, ServerLife server, BudgetSettings own, TimeSpan now)
    {
        if (state.Format > LedgerState.CurrentFormat)
        {
            throw new InvalidOperationException(
                $"The ledger of the connection budget has format {state.Format}, and this version knows formats "
                + $"up to {LedgerState.CurrentFormat}. Upgrade this process, or stop those that are newer.");
        }

        _writer = writer;
        _committed = state;
        _committedAt = now;
        _serverStart = server.Start;
        _serverName = server.Name;
        _settings = state.Settings ?? own;
        _takenOver = (state.Writer, state.Revision);
        TimeSpan longest = _settings.LeaseDuration + _settings.Grace;
        foreach (LeaseRecord record in state.Records)
        {
            LeaseEntry entry = Add(record);
            entry.Committed = record;
            entry.ExpiresAt = now + record.Duration;
            entry.GraceEndsAt = entry.ExpiresAt + record.Grace;
            if (record.Duration + record.Grace > longest) longest = record.Duration + record.Grace;
        }

        // The server's sessions must be seen once, whatever was recorded.
        _mustLook = true;
        _learnUntil = now;

        // A server that restarted may have lost the newest writes, and with them a lease whose holder is not recorded
        // but still holds it. No such lease outlasts its duration and grace, counted from the restart, because nothing
        // was written in between. Its sessions on the server are seen by the look after that.
        if (server.Start == state.ServerStart) return;

        // Another server may have taken writes until a moment ago, whenever this one was started.
        bool isOther = state.ServerName.Length > 0 && server.Name != state.ServerName;
        TimeSpan sinceRestart = isOther ? TimeSpan.Zero : server.Uptime * (1 - LeaseHolder.ClockDrift);
        if (sinceRestart < longest) _learnUntil = now + (longest - sinceRestart);
    }

    /// <summary>The newest state that is known to be written.</summary>
    public LedgerState State => _committed;

    /// <summary>Whether no lease grows yet, because this coordinator has just taken over.</summary>
    public bool IsLearning(TimeSpan now)
    {
        if (now < _learnUntil || _mustLook) return true;

        foreach (LeaseEntry entry in _entries.Values)
        {
            if (!entry.IsHeard && !entry.IsReclaiming && now < entry.GraceEndsAt) return true;
        }

        return false;
    }

    /// <summary>Applies requests to a copy of the ledger, and returns the state to be written. No requests are valid
    /// too: the batch then writes what the server reported.</summary>
    public LedgerBatch Apply(IReadOnlyList<LeaseRequest> requests, TimeSpan now)
    {
        if (_writing is not null) throw new InvalidOperationException("bug: a batch of the ledger is being written.");

        var replies = new LeaseReply[requests.Count];
        var renewed = new LeaseEntry?[requests.Count];
        for (int at = 0; at < requests.Count; at++) (renewed[at], replies[at]) = Renew(requests[at], now);

        Share(now);
        var touched = new List<LeaseEntry>(requests.Count);
        for (int at = 0; at < requests.Count; at++)
        {
            if (renewed[at] is not { } entry) continue;

            // Of two requests of one incarnation in a batch, only the newer one is granted.
            if (requests[at].Sequence != entry.Record.Sequence)
            {
                (_, replies[at]) = Refuse(requests[at], LeaseStatus.Stale);
                continue;
            }

            touched.Add(entry);
            replies[at] = Grant(entry, requests[at]);
        }

        var state = new LedgerState
        {
            Format = LedgerState.CurrentFormat,
            Revision = _committed.Revision + 1,
            Writer = _writer,
            ServerStart = _serverStart,
            ServerName = _serverName,
            Settings = _settings,
            Records = Records(),
        };
        return _writing = new LedgerBatch(state, replies, [.. touched]);
    }

    /// <summary>The batch was written: its leases count from now, and its replies, in the order of the requests, may be
    /// sent.</summary>
    public IReadOnlyList<LeaseReply> Commit(LedgerBatch batch, TimeSpan now)
    {
        End(batch);

        // While nothing could be written no lease could be renewed, which is not the silos' fault. They ask again
        // within an interval or two; only after that does a lease that ran out meanwhile mean that its holder is dead.
        BudgetSettings settings = batch.State.Settings!;
        if (IsCutOff(now)) _reclaimNotBefore = now + 3 * settings.RenewInterval;

        _committed = batch.State;
        _committedAt = now;
        foreach (LeaseEntry entry in batch.Touched)
        {
            entry.Committed = entry.Record;
            entry.IsHeard = true;
            entry.ExpiresAt = Later(entry.ExpiresAt, now + settings.LeaseDuration);
            entry.GraceEndsAt = Later(entry.GraceEndsAt, entry.ExpiresAt + settings.Grace);
        }

        return batch.Replies;
    }

    /// <summary>The batch is known not to be written, now or later: restores the state before it.</summary>
    public void Abort(LedgerBatch batch)
    {
        End(batch);
        foreach (LeaseEntry entry in batch.Touched)
        {
            if (entry.Committed is null) Remove(entry);
            else SetRecord(entry, entry.Committed);
        }
    }

    /// <summary>
    /// Continues after a write whose outcome is unknown, with the state that storage has now. Whether the batch was
    /// written, or will be yet (then the next write conflicts, and this is called again), no request of it was
    /// answered.
    /// </summary>
    /// <returns>False if another activation has written: then this one can answer no more requests.</returns>
    public bool TryResume(LedgerBatch batch, LedgerState read)
    {
        // A server that lost writes returns an older state, of the activation that this one took over from.
        bool isOwn = read.Writer == _writer;
        if (!isOwn && (read.Writer != _takenOver.Writer || read.Revision > _takenOver.Revision)) return false;

        Abort(batch);
        if (!isOwn || read.Revision <= _committed.Revision) return true;

        // The batch was written. Its records hold whatever its unanswered requests reported.
        _committed = read;
        foreach (LeaseRecord record in read.Records)
        {
            if (!_entries.TryGetValue(record.Incarnation, out LeaseEntry? entry))
            {
                entry = Add(record);
                entry.ExpiresAt = _committedAt + record.Duration;
                entry.GraceEndsAt = entry.ExpiresAt + record.Grace;
            }

            SetRecord(entry, record);
            entry.Committed = record;
        }

        return true;
    }

    private void End(LedgerBatch batch)
    {
        if (_writing != batch) throw new InvalidOperationException(
            "bug: this batch of the ledger is not being written.");

        _writing = null;
        foreach (LeaseEntry entry in batch.Touched) entry.IsRenewing = false;
        ApplyServerReports();
    }

    private LeaseRecord[] Records()
    {
        var records = new LeaseRecord[_entries.Count];
        int at = 0;
        foreach (LeaseEntry entry in _entries.Values) records[at++] = entry.Record;
        return records;
    }

    private LeaseEntry Add(LeaseRecord record)
    {
        var entry = new LeaseEntry(record, ++_lastOrder);
        _entries.Add(record.Incarnation, entry);
        _held += record.Held;
        CountOf(record.Role)++;
        _isUneven = true;
        return entry;
    }

    private void Remove(LeaseEntry entry)
    {
        _entries.Remove(entry.Record.Incarnation);
        _held -= entry.Record.Held;
        CountOf(entry.Record.Role)--;
        _isUneven = true;
    }

    private ref int CountOf(LeaseRole role)
    {
        if (role == LeaseRole.Silo) return ref _silos;

        return ref _clients;
    }

    private void SetRecord(LeaseEntry entry, LeaseRecord record)
    {
        _held += record.Held - entry.Record.Held;
        entry.Record = record;
    }

    private static TimeSpan Later(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
