namespace UPool.MySql;

/// <content>
/// Following the address to another server. Questions about sessions of a server that it does not lead to are kept, and
/// asked again when it does: until then nobody can answer them.
/// </content>
internal sealed partial class KillLane
{
    // A server is looked at this often whether it was set read-only, so that a process that only reads moves too. The
    // lane has a session for it from the pool's first open on.
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    // A question that is under way while the address moves is answered by a server that is there within this.
    private static readonly TimeSpan FarewellTime = TimeSpan.FromMilliseconds(200);

    // More sessions than a process leaves behind in many switch-overs; of the oldest it is then taken that they are
    // gone.
    private const int MaxElsewhere = 1000;

    // The loop's own.
    private readonly List<KillQuestion> _elsewhere = [];
    private FormerLane? _former;
    private long _watchedAt;

    /// <summary>The server has become read-only, and stays so: perhaps the address leads elsewhere already. Raised on
    /// the lane, at most once in each interval: a handler must neither block nor throw.</summary>
    public event Action? MoveSuspected;

    /// <summary>How long until the server is to be looked at; infinite without a session.</summary>
    private TimeSpan WatchIn
    {
        get
        {
            if (_session is not { IsCompletedSuccessfully: true }) return Timeout.InfiniteTimeSpan;

            TimeSpan left = WatchInterval - _clock.GetElapsedTime(_watchedAt);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>Whether the lane's session is with another server than the address leads to, or with another life of
    /// it.</summary>
    private async Task<bool> HasMovedAsync() =>
        _session is { IsCompletedSuccessfully: true }
        && (await _session.ConfigureAwait(false)).Server.DiffersFrom(Server.Current);

    /// <summary>Leaves a server that the address does not lead to any more, and ends what the process has left
    /// there.</summary>
    private async Task FollowAsync()
    {
        if (!await HasMovedAsync().ConfigureAwait(false)) return;

        ControlSession session = await _session!.ConfigureAwait(false);
        _session = null;
        if (!session.Server.IsOther(Server.Current))
        {
            await GiveUpAsync(Task.FromResult(session)).ConfigureAwait(false);
            return;
        }

        _former?.End();
        KillQuestion[] left =
            [.. _open.Concat(_own).Concat(_elsewhere).Where(q => q.Session.Server.Name == session.Server.Name)];
        _former = new FormerLane(session, left, _clock);
        foreach (KillQuestion question in left) Leave(question);
    }

    /// <summary>After a turn: what it could not ask, because it is about another server's sessions, waits until the
    /// address leads there.</summary>
    private async Task SortAsync(bool hasWatched)
    {
        ControlSession session = await _session!.ConfigureAwait(false);
        if (hasWatched)
        {
            _watchedAt = _clock.GetTimestamp();
            if (session.HasBecomeReadOnly) MoveSuspected?.Invoke();
        }

        foreach (KillQuestion question in
            _open.Concat(_own).Where(q => q.Session.Server.IsOther(session.Server)).ToArray())
        {
            // Nobody asks one session twice: where the former lane is there, it settles the question.
            if (_former?.TryAdd(question) != true && !question.UntilGone) question.Settle();
            Leave(question);
        }

        for (int i = _elsewhere.Count - 1; i >= 0; i--)
        {
            KillQuestion question = _elsewhere[i];
            if (question.Session.Server.IsOther(session.Server)) continue;

            // It is back.
            _former?.End();
            _elsewhere.RemoveAt(i);
            _open.Add(question);
        }
    }

    private void Leave(KillQuestion question)
    {
        _open.Remove(question);
        _own.Remove(question);
        if (!question.UntilGone || _elsewhere.Contains(question)) return;

        _elsewhere.Add(question);
        if (_elsewhere.Count <= MaxElsewhere) return;

        _elsewhere[0].Settle();
        _elsewhere.RemoveAt(0);
    }
}
