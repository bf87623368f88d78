namespace UPool.Core;

/// <summary>
/// Whether one more connection may be opened, and whether the database counts as away: one decision each over one
/// state, without a clock, a lock or a memory of their own. <c>OpenRulesTests</c> has the table.
/// </summary>
internal static class OpenRules
{
    // An open under way when its process is stopped past the last check is a session that nothing can hold back: with a
    // lease there is never more than one. A lost one counts, since it may still come to light (INV-2).
    private const int MaxOpeningWithLease = 1;

    // While established sessions work and opens do not, they are tried one by one: each may cost a permit for long.
    private const int MaxOpeningInDoubt = 1;

    /// <summary>Whether one more open may begin now; if not, the first thing that is against it.</summary>
    public static OpenAnswer MayOpen(in OpenState s)
    {
        if (s.IsDraining) return OpenAnswer.Draining;
        if (s.NeedsLease && !s.IsLeased) return OpenAnswer.NoLease;
        if (s.Permits == 0) return OpenAnswer.NoPermits;

        // It is the probe; others would only stand behind it in the server's accept queue.
        if (s.Fault == FaultKind.Unanswered) return OpenAnswer.ServerIsSilent;
        if (s.NeedsLease && s.Opening >= MaxOpeningWithLease) return OpenAnswer.OneAtATime;
        if (s.IsCandidateDue && s.Expected == 0) return TryCandidate(s);
        return s.Fault == FaultKind.None ? MayServe(s) : MayProbe(s);
    }

    /// <summary>
    /// Whether those who wait hear at once that nothing will come: nothing is open, and nothing can be until the
    /// server, or the control connection, answers again.
    /// </summary>
    public static bool IsDown(in OpenState s)
    {
        if (s.Open > 0) return false;
        if (s.Fault is FaultKind.Failed or FaultKind.Unanswered) return true;
        if (s.Fault == FaultKind.NoPermit || s.Expected > 0) return false;

        // Nobody can say that the sessions which hold the permits are gone; nothing else is the control connection's
        // business. Or the one open that a lease allows was lost on its way.
        return (s.HasControlProblem && s.Closing > 0 && s.Sessions >= s.Permits) || (s.NeedsLease && s.Unanswered > 0);
    }

    /// <summary>Why a rent that waits is not served.</summary>
    public static RefusalReason WhyWaiting(in OpenState s) =>
        IsDown(s) ? RefusalReason.Unavailable
        : s.Permits == 0 || (s.NeedsLease && !s.IsLeased) ? RefusalReason.NoPermits
        : s.Fault == FaultKind.NoPermit && s.Open < s.Permits ? RefusalReason.NoPermits
        : RefusalReason.TimedOut;

    /// <summary>Whether the answer is a yes.</summary>
    public static bool IsYes(this OpenAnswer answer) =>
        answer is OpenAnswer.Serve or OpenAnswer.Probe or OpenAnswer.TryCandidate;

    private static OpenAnswer TryCandidate(in OpenState s) =>
        s.Sessions < s.Permits ? OpenAnswer.TryCandidate

        // One at a time makes room, and one that is closing already is as good.
        : s.Closing == 0 ? OpenAnswer.MakeRoom
        : OpenAnswer.PermitsHeld;

    /// <summary>One probe at a time, wanted or not: it is what notices that the database is back.</summary>
    private static OpenAnswer MayProbe(in OpenState s) =>
        s.Expected > 0 ? OpenAnswer.EnoughUnderWay
        : s.Sessions >= s.Permits ? OpenAnswer.PermitsHeld
        : s.IsPausing ? OpenAnswer.Pausing
        : OpenAnswer.Probe;

    private static OpenAnswer MayServe(in OpenState s)
    {
        // What is being opened or made ready will serve somebody; the connections in use are not counted on, nor is
        // what is late already: it may have been lost, and who waits needs another.
        if (s.Wanted <= s.Expected - s.Late + s.Validating) return OpenAnswer.NotWanted;

        int most = s.Unanswered == 0 || s.AreOpensAnswered ? s.MaxOpening : MaxOpeningInDoubt;
        return s.Expected >= most ? OpenAnswer.EnoughUnderWay
            : s.Sessions >= s.Permits ? OpenAnswer.PermitsHeld
            : OpenAnswer.Serve;
    }
}

/// <summary>Whether one more open may begin: yes and what for, or no and why.</summary>
internal enum OpenAnswer
{
    /// <summary>Yes: a rent wants it.</summary>
    Serve,

    /// <summary>Yes: it finds out whether the database is back.</summary>
    Probe,

    /// <summary>Yes: it tries changed credentials.</summary>
    TryCandidate,

    /// <summary>Changed credentials have to be tried, and all permits are in use: one connection must close
    /// first.</summary>
    MakeRoom,

    /// <summary>No: the pool drains.</summary>
    Draining,

    /// <summary>No: no lease is in force.</summary>
    NoLease,

    /// <summary>No: there are none.</summary>
    NoPermits,

    /// <summary>No: an open that the server does not answer is under way, and is the probe.</summary>
    ServerIsSilent,

    /// <summary>No: with a lease there is one at a time.</summary>
    OneAtATime,

    /// <summary>No: as many as may be at a time are under way.</summary>
    EnoughUnderWay,

    /// <summary>No: all permits are held.</summary>
    PermitsHeld,

    /// <summary>No: the last one failed a moment ago.</summary>
    Pausing,

    /// <summary>No: nobody needs it.</summary>
    NotWanted,
}
