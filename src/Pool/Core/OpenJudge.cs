namespace UPool.Core;

/// <summary>
/// Judges the server by the opens under way and those that have ended: whether it answers, why not, and when the next
/// open may be tried. Guarded by the pool's lock.
/// </summary>
internal sealed class OpenJudge(TimeProvider clock, TimeSpan maxRetryInterval)
{
    /// <summary>The first pause after a failed open: long enough for the server to drop the failed session.</summary>
    public static readonly TimeSpan MinRetryInterval = TimeSpan.FromMilliseconds(50);

    private Backoff _backoff = new(MinRetryInterval, maxRetryInterval);
    private long _retryAt;
    private string? _silence;

    // Numbers of opens in the order in which they were sent: the newest of all; the newest when the server last
    // answered anything; the newest that was answered, that failed, that stayed unanswered.
    private long _sent, _sentAtAnswer, _newestAnswered, _newestFailed, _newestUnanswered;

    /// <summary>Opens under way.</summary>
    public int Opening { get; private set; }

    /// <summary>Opens that take longer than a rent can wait for them; unanswered ones are not included.</summary>
    public int Late { get; private set; }

    /// <summary>Opens that the server has not answered within the open timeout.</summary>
    public int Unanswered { get; private set; }

    /// <summary>Why opens fail at present; null when they do not.</summary>
    public OpenFault? Fault { get; private set; }

    public FaultKind FaultKind => Fault?.Kind ?? FaultKind.None;

    /// <summary>The problem that an open was not answered, in one line; null while none is unanswered.</summary>
    public string? Silence => Unanswered > 0 ? _silence : null;

    /// <summary>Whether an open that was sent after the newest unanswered one was answered.</summary>
    public bool AreOpensAnswered => _newestAnswered > _newestUnanswered;

    /// <summary>Whether the pause after a failed open is still running.</summary>
    public bool IsPausing => clock.GetTimestamp() < _retryAt;

    public void Begin() => Opening++;

    public void Send(Opening opening) => opening.Number = ++_sent;

    /// <summary>An open is over, whatever its result, or was not sent at all.</summary>
    public void End(Opening opening)
    {
        opening.HasEnded = true;
        Opening--;
        if (opening.IsLate) Late--;
        if (opening.IsUnanswered) Unanswered--;
    }

    /// <summary>An open has succeeded. Returns whether opens had failed until now.</summary>
    public bool NoteOpened(Opening opening)
    {
        bool hadFault = Fault is not null;
        Fault = null;
        _backoff.Reset();
        _newestAnswered = Math.Max(_newestAnswered, opening.Number);
        return hadFault;
    }

    /// <summary>An open has failed.</summary>
    /// <returns>The pause before the next open, and whether the fault is a new one, worth a line in the log.</returns>
    public (TimeSpan Pause, bool IsNews) NoteFailed(Opening opening, OpenFault fault)
    {
        // The failure of a lost open says nothing new about a server that has answered later opens.
        if (opening.IsUnanswered && _newestAnswered >= opening.Number) return (MinRetryInterval, false);

        _newestFailed = Math.Max(_newestFailed, opening.Number);
        TimeSpan pause = _backoff.Next();
        _retryAt = clock.GetTimestamp() + (long)(pause.TotalSeconds * clock.TimestampFrequency);
        return (pause, SetFault(fault));
    }

    /// <summary>An open with changed credentials has failed, which says nothing about other opens. If it served as the
    /// probe, it no longer does.</summary>
    public void NoteCandidateFailed(Opening opening)
    {
        if (opening.IsUnanswered && FaultKind == FaultKind.Unanswered) Fault = null;
    }

    /// <summary>Ends the pause with its delay, which may end a moment before the clock reaches the time.</summary>
    public void EndPause() => _retryAt = Math.Min(_retryAt, clock.GetTimestamp());

    /// <summary>An open takes longer than a rent can wait for it. Returns whether it is still under way.</summary>
    public bool NoteLate(Opening opening)
    {
        if (opening.HasEnded) return false;

        opening.IsLate = true;
        Late++;
        return true;
    }

    /// <summary>
    /// Notes an open that stays unanswered. It keeps its permit until it ends: the driver cannot close it, and a server
    /// that only sleeps still has it in its accept queue and counts it when it wakes up (INV-1). The meaning for other
    /// opens depends on the server's other answers.
    /// </summary>
    /// <remarks>
    /// If the server has answered nothing since the open was sent, it does not answer at all: the open stays the only
    /// probe, and pending rents are refused unless a connection is open. If it has answered anything (a later open, a
    /// ping, a reset, a confirmed close), only this open was lost: it holds one permit, and the others are used as
    /// usual. If a later open was refused, that is the news, and later probes notice when the server is back.
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

    /// <summary>The server has answered something other than an open. Returns whether it had been silent.</summary>
    public bool NoteAnswered()
    {
        _sentAtAnswer = _sent;
        if (FaultKind != FaultKind.Unanswered) return false;

        Fault = null;
        return true;
    }

    /// <summary>Forgets an earlier failure, because nothing has to be opened.</summary>
    public void ForgetFault() => Fault = null;

    private bool SetFault(OpenFault fault)
    {
        bool isNews = Fault?.Problem != fault.Problem;
        Fault = fault;
        return isNews;
    }
}

/// <summary>Why opens fail at present.</summary>
/// <param name="Problem">The reason in one line.</param>
/// <param name="Cause">The driver's exception without its message; null while an open is merely unanswered.</param>
/// <param name="Kind">The meaning for pending rents.</param>
internal sealed record OpenFault(string Problem, Exception? Cause, FaultKind Kind);

/// <summary>The meaning of an open that was not answered in time.</summary>
internal enum OpenSilence
{
    /// <summary>None: the open has ended by now.</summary>
    Over,

    /// <summary>The open was lost: the server has answered others since.</summary>
    Lost,

    /// <summary>The server does not answer, as was known before.</summary>
    Known,

    /// <summary>The server does not answer, and that is new.</summary>
    News,
}
