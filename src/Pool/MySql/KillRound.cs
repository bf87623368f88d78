namespace UPool.MySql;

/// <summary>One round of questions over one session; it may be given up midway.</summary>
internal sealed class KillRound
{
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private bool _isGivenUp;

    /// <param name="opening">The session.</param>
    /// <param name="own">Questions about the lane's own sessions; statements are ended only after these.</param>
    /// <param name="questions">The other questions.</param>
    /// <param name="watches">Whether to check also that the server is not read-only.</param>
    public async Task AnswerAsync(
        Task<ControlSession> opening, KillQuestion[] own, KillQuestion[] questions, bool watches)
    {
        ControlSession session = await opening.ConfigureAwait(false);

        // A server is never asked about another server's sessions.
        own = [.. own.Where(IsOfTheServer)];
        if (IsGivenUp()) return;

        await session.AskAsync(own, Settle).ConfigureAwait(false);
        bool isAlone = own.All(static question => question.Task.IsCompleted);
        if (IsGivenUp()) return;

        await session.AskAsync(questions.Where(q => IsOfTheServer(q) && (isAlone || q.UntilGone)), Settle)
            .ConfigureAwait(false);
        if (watches && !IsGivenUp()) await session.WatchAsync().ConfigureAwait(false);

        bool IsOfTheServer(KillQuestion question) => !question.Session.Server.IsOther(session.Server);
    }

    public void GiveUp()
    {
        lock (_gate) _isGivenUp = true;
    }

    // Under the lock: the next round must not repeat a question that is settled now, since its kill would hit the next
    // renter (INV-5).
    private bool Settle(KillQuestion question)
    {
        lock (_gate)
        {
            if (!_isGivenUp) question.Settle();
            return !_isGivenUp;
        }
    }

    private bool IsGivenUp()
    {
        lock (_gate) return _isGivenUp;
    }
}
