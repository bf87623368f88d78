namespace UPool.MySql;

/// <summary>One round of questions over one session, which may be given up in the middle.</summary>
internal sealed class KillTurn
{
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private bool _isGivenUp;

    public async Task AnswerAsync(Task<ControlSession> opening, KillQuestion[] own, KillQuestion[] questions)
    {
        ControlSession session = await opening.ConfigureAwait(false);
        if (IsGivenUp()) return;

        await session.AskAsync(own, Settle).ConfigureAwait(false);
        bool isAlone = own.All(static question => question.Task.IsCompleted);
        if (IsGivenUp()) return;

        await session.AskAsync(questions.Where(q => isAlone || q.UntilGone), Settle).ConfigureAwait(false);
    }

    public void GiveUp()
    {
        lock (_gate) _isGivenUp = true;
    }

    // Under the lock: a question that is settled now must not be asked again by the turn after this one, whose kill
    // would hit the next renter (INV-5).
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
