namespace UPool.Core;

/// <summary>
/// What the opens under way, and those that have ended, say of the server: whether it answers, why not, and when the
/// next may be tried. Guarded by the pool's lock.
/// </summary>
internal sealed class OpenJudge(TimeProvider clock, TimeSpan maxRetryInterval)
{
    /// <summary>The first pause after a failed open. Long enough for the server to have dropped the failed
    /// session.</summary>
    public static readonly TimeSpan MinRetryInterval = TimeSpan.FromMilliseconds(50);

    private Backoff _backoff = new(MinRetryInterval, maxRetryInterval);
    private long _retryAt;
    private string? _silence;

    // Numbers of opens, in the order in which they were sent: the newest of all, when an answer of any kind was last
    // given, the newest that was answered, that failed, that stayed unanswered.
    private long _sent, _sentAtAnswer, _newestAnswered, _newestFailed, _newestUnanswered;

    /// <summary>Opens under way.</summary>
    public int Opening { get; private set; }

    /// <summary>Those that take longer than a rent can wait for them; unanswered ones are not among them.</summary>
    public int Late { get; private set; }

    /// <summary>Those that the server has not answered within the open timeout.</summary>
    public int Unanswered { get; private set; }

    /// <summary>Why opens fail at present; null when they do not.</summary>
    public OpenFault? Fault { get; private set; }

    public FaultKind FaultKind => Fault?.Kind ?? FaultKind.None;

    /// <summary>That an open was not answered, in one plain line; null while none is unanswered.</summary>
    public string? Silence => Unanswered > 0 ? _silence : null;

    /// <summary>Whether an open was answered that was sent after the newest unanswered one.</summary>
    public bool AreOpensAnswered => _newestAnswered > _newestUnanswered;

    /// <summary>Whether the pause after a failed open has not ended yet.</summary>
    public bool IsPausing => clock.GetTimestamp() < _retryAt;

    public void Begin() => Opening++;

    public void Send(Opening opening) => opening.Number = ++_sent;

    /// <summary>An open is over, whatever came of it; or it was not sent at all.</summary>
    public void End(Opening opening)
    {
        opening.HasEnded = true;
        Opening--;
        if (opening.IsLate) Late--;
        if (opening.IsUnanswered) Unanswered--;
    }

    /// <summary>An open has succeeded; says whether opens had failed until now.</summary>
    public bool NoteOpened(Opening opening)
    {
        bool hadFault = Fault is not null;
        Fault = null;
        _backoff.Reset();
        _newestAnswered = Math.Max(_newestAnswered, opening.Number);
        return hadFault;
    }

    /// <summary>An open has failed.</summary>
    /// <returns>The pause before the next one, and whether this is another fault than before, worth a line in the
    /// log.</returns>
    public (TimeSpan Pause, bool IsNews) NoteFailed(Opening opening, OpenFault fault)
    {
        // The end of one that was lost on its way says nothing new about a server that has answered later ones.
        if (opening.IsUnanswered && _newestAnswered >= opening.Number) return (MinRetryInterval, false);

        _newestFailed = Math.Max(_newestFailed, opening.Number);
        TimeSpan pause = _backoff.Next();
        _retryAt = clock.GetTimestamp() + (long)(pause.TotalSeconds * clock.TimestampFrequency);
        return (pause, SetFault(fault));
    }

    /// <summary>An open with changed credentials has failed, which says nothing about the others. If the pool took it
    /// for the probe, it is none any more.</summary>
    public void NoteCandidateFailed(Opening opening)
    {
        if (opening.IsUnanswered && FaultKind == FaultKind.Unanswered) Fault = null;
    }

    /// <summary>A delay may end a moment before the clock says so; the pause is over because the delay is.</summary>
    public void EndPause() => _retryAt = Math.Min(_retryAt, clock.GetTimestamp());

    /// <summary>An open takes longer than a rent can wait for it; says whether it is still under way.</summary>
    public bool NoteLate(Opening opening)
    {
        if (opening.HasEnded) return false;

        opening.IsLate = true;
        Late++;
        return true;
    }

    /// <summary>
    /// An open that stays unanswered keeps its permit until its own end: the driver cannot close it, and a server that
    /// only sleeps still has it in its accept queue and counts it when it wakes up (INV-1). What it means for the
    /// others depends on who else was answered.
    /// </summary>
    /// <remarks>
    /// Nobody since it was sent: the server as a whole does not answer. It is left as the one probe, and the pending
    /// hear so. Anybody (a later open, a ping, a reset, a close that the server has confirmed): the server answers, and
    /// the open was lost on its own way. Then it is one held permit, and the others are used as ever. And when a later
    /// one was refused, that is the news, and the probes after it notice when the server is back.
    /// </remarks>
    public OpenSilence NoteUnanswered(Opening opening, string problem)
    {
        // It may have ended just as its time ran out.
        if (opening.HasEnded) return OpenSilence.Over;

        opening.IsUnanswered = true;
        opening.IsLate = false;
        Late--;
        Unanswered++;
        _silence = problem;
        _newestUnanswered = Math.Max(_newestUnanswered, opening.Number);
        if (_sentAtAnswer >= opening.Number) return OpenSilence.Lost;

        return _newestFailed < opening.Number && SetFault(new OpenFault(problem, null, FaultKind.Unanswered))
            ? OpenSilence.News
            : OpenSilence.Known;
    }

    /// <summary>The server has answered something that is no open; says whether it had been silent until now.</summary>
    public bool NoteAnswered()
    {
        _sentAtAnswer = _sent;
        if (FaultKind != FaultKind.Unanswered) return false;

        Fault = null;
        return true;
    }

    /// <summary>What failed once is no problem any more, since nothing has to be opened.</summary>
    public void ForgetFault() => Fault = null;

    private bool SetFault(OpenFault fault)
    {
        bool isNews = Fault?.Problem != fault.Problem;
        Fault = fault;
        return isNews;
    }
}

/// <summary>Why opens fail at present.</summary>
/// <param name="Problem">The reason in one plain line.</param>
/// <param name="Cause">The driver's exception, without its words; null while an open is merely unanswered.</param>
/// <param name="Kind">What it means for those who wait.</param>
internal sealed record OpenFault(string Problem, Exception? Cause, FaultKind Kind);

/// <summary>What it means that an open was not answered in time.</summary>
internal enum OpenSilence
{
    /// <summary>Nothing: it has ended by now.</summary>
    Over,

    /// <summary>It was lost on its way: the server has answered others since.</summary>
    Lost,

    /// <summary>The server does not answer, as was known.</summary>
    Known,

    /// <summary>The server does not answer, and that is new.</summary>
    News,
}
