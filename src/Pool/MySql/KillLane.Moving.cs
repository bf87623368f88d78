namespace UPool.MySql;

/// <content>
/// Follows the address to another server. Questions about sessions of a server that the address does not lead to are
/// kept, and asked again when it does: until then no server can answer them.
/// </content>
internal sealed partial class KillLane
{
    // The interval of checks whether the server was set read-only, so that a process that only reads follows too. The
    // lane has a session for the checks from the pool's first open on.
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    // A server that still runs answers a question that is pending while the address moves within this time.
    private static readonly TimeSpan FarewellTime = TimeSpan.FromMilliseconds(200);

    // More sessions than a process leaves behind in many switch-overs. Beyond this the oldest are assumed to be gone.
    private const int MaxElsewhere = 1000;

    // Used by the loop only.
    private readonly List<KillQuestion> _elsewhere = [];
    private FormerLane? _former;
    private long _watchedAt;

    /// <summary>The server has become read-only and stays so, so the address may lead elsewhere already. Raised on the
    /// lane, at most once per interval: a handler must neither block nor throw.</summary>
    public event Action? MoveSuspected;

    /// <summary>The time until the server must be checked; infinite without a session.</summary>
    private TimeSpan WatchIn
    {
        get
        {
            if (_session is not { IsCompletedSuccessfully: true }) return Timeout.InfiniteTimeSpan;

            TimeSpan left = WatchInterval - _clock.GetElapsedTime(_watchedAt);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>Whether the lane's session is with another server than the address leads to, or with an earlier start
    /// of it.</summary>
    private async Task<bool> HasMovedAsync() =>
        _session is { IsCompletedSuccessfully: true }
        && (await _session.ConfigureAwait(false)).Server.DiffersFrom(Server.Current);

    /// <summary>Leaves a server that the address no longer leads to, and ends the process's sessions there.</summary>
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

    /// <summary>After a round, sets aside the questions about another server's sessions until the address leads
    /// there.</summary>
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
            // No session is asked about twice: if there is a former lane, it settles the question.
            if (_former?.TryAdd(question) != true && !question.UntilGone) question.Settle();
            Leave(question);
        }

        for (int i = _elsewhere.Count - 1; i >= 0; i--)
        {
            KillQuestion question = _elsewhere[i];
            if (question.Session.Server.IsOther(session.Server)) continue;

            // Its server is back.
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
