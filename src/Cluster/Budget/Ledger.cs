namespace UPool.Cluster.Budget;

/// <summary>
/// Who may hold how many of the deployment's permits (INV-2). Pure: the coordinator's grain gives it requests, what the
/// server says and its own monotonic time, and writes what it makes before anybody is answered.
/// </summary>
/// <remarks>
/// <para>The coordinator's loop: gather requests; <see cref="Apply"/> them to a copy; write its state on condition that
/// nobody else has written; then <see cref="Commit"/>, and answer. Known not to be written: <see cref="Abort"/>.
/// Unknown, or a conflict: read, and <see cref="TryResume"/>; when another activation has written, this ledger is over,
/// and so is its activation. Not for several threads, and one batch at a time.</para>
/// <para>What keeps the sum: each incarnation's <see cref="LeaseRecord.Held"/> is the most sessions it can have by
/// anything it was ever told and has not acknowledged, and nobody grows beyond what all of them leave. It falls in two
/// ways only: the incarnation itself says so, in a request newer than all its others, or the server says that its
/// sessions are gone.</para>
/// <para>Read in this order: this file applies and commits, <c>.Renewing</c> judges one request, <c>.Sharing</c>
/// decides who grows and who shrinks, <c>.Server</c> takes the server's word.</para>
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

    /// <summary>A coordinator takes over. It lets nobody grow and gives newcomers nothing before every recorded lease
    /// has been renewed or has run out with its grace.</summary>
    /// <param name="state">What storage holds; a new record when there is nothing.</param>
    /// <param name="writer">This activation, by a name that no other ever has.</param>
    /// <param name="server">The server as it is now.</param>
    /// <param name="own">What this process is configured with: it holds until a request says otherwise.</param>
    /// <param name="now">The coordinator's time.</param>
    /// <exception cref="InvalidOperationException">The state is of a newer form than this code knows.</exception>
    public Ledger(LedgerState state, string writer, ServerLife server, BudgetSettings own, TimeSpan now)
    {
        if (state.Format > LedgerState.CurrentFormat)
        {
            throw new InvalidOperationException(
                $"The ledger of the connection budget was written in form {state.Format}, and this version knows forms "
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

        // What is on the server has to be seen once, whatever was recorded.
        _mustLook = true;
        _learnUntil = now;

        // A server that restarted may have lost the newest writes, and with them a lease that is still held by somebody
        // who is not recorded. None outlives its duration and grace, counted from the restart: nothing was written in
        // between. What it leaves on the server is seen by the look after that.
        if (server.Start == state.ServerStart) return;

        // Another server may have been written to until a moment ago, whenever this one was started.
        bool isOther = state.ServerName.Length > 0 && server.Name != state.ServerName;
        TimeSpan sinceRestart = isOther ? TimeSpan.Zero : server.Uptime * (1 - LeaseHolder.ClockDrift);
        if (sinceRestart < longest) _learnUntil = now + (longest - sinceRestart);
    }

    /// <summary>The newest state that is known to be written.</summary>
    public LedgerState State => _committed;

    /// <summary>Whether nobody grows yet, because this coordinator has just taken over.</summary>
    public bool IsLearning(TimeSpan now)
    {
        if (now < _learnUntil || _mustLook) return true;

        foreach (LeaseEntry entry in _entries.Values)
        {
            if (!entry.IsHeard && !entry.IsReclaiming && now < entry.GraceEndsAt) return true;
        }

        return false;
    }

    /// <summary>Applies requests to a copy of the ledger, and makes what is to be written. Of nothing too: the server's
    /// word is written with the next batch.</summary>
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

            // Two of one incarnation in one batch: the older is answered for nobody.
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

    /// <summary>The batch was written: its leases are counted from now, and its replies, in the order of the requests,
    /// may be sent.</summary>
    public IReadOnlyList<LeaseReply> Commit(LedgerBatch batch, TimeSpan now)
    {
        End(batch);

        // While nothing could be written nobody could renew: that is not the silos' doing. They ask again within an
        // interval or two, and only then does a lease that ran out meanwhile look like the end of its holder.
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

    /// <summary>The batch is known not to be written, now or later: as if it had never been.</summary>
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
    /// Goes on after a write whose outcome is unknown, with what storage says now. Whether the batch was written or
    /// not, or will be yet (then the next write conflicts, and this is called again): nobody was answered.
    /// </summary>
    /// <returns>False when another activation has written: then this one has nothing more to say.</returns>
    public bool TryResume(LedgerBatch batch, LedgerState read)
    {
        // An older state of whom this one took over from is what a server that lost writes has left.
        bool isOwn = read.Writer == _writer;
        if (!isOwn && (read.Writer != _takenOver.Writer || read.Revision > _takenOver.Revision)) return false;

        Abort(batch);
        if (!isOwn || read.Revision <= _committed.Revision) return true;

        // The batch was written. What it says of each is what is known with the requests that were never answered.
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
        TakeServersWord();
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
