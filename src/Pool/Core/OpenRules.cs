namespace UPool.Core;

/// <summary>
/// Decides whether one more connection may be opened, and whether the database counts as unavailable. Each decision
/// depends only on the given state: no clock, no lock, no memory. <c>OpenRulesTests</c> has the table.
/// </summary>
internal static class OpenRules
{
    // If the process is stopped inside an open, after the last check, nothing can hold that session back: with a lease
    // there is never more than one open. A lost open counts, because it may still arrive (INV-2).
    private const int MaxOpeningWithLease = 1;

    // While established sessions work and opens do not, opens are tried one by one: each may hold a permit for long.
    private const int MaxOpeningInDoubt = 1;

    /// <summary>Whether one more open may begin now; if not, the first reason against it.</summary>
    public static OpenAnswer MayOpen(in OpenState s)
    {
        if (s.IsDraining) return OpenAnswer.Draining;
        if (s.NeedsLease && !s.IsLeased) return OpenAnswer.NoLease;
        if (s.Permits == 0) return OpenAnswer.NoPermits;

        // The unanswered open is the probe; others would only wait behind it in the server's accept queue.
        if (s.Fault == FaultKind.Unanswered) return OpenAnswer.ServerIsSilent;
        if (s.NeedsLease && s.Opening >= MaxOpeningWithLease) return OpenAnswer.OneAtATime;
        if (s.IsCandidateDue && s.Expected == 0) return TryCandidate(s);
        return s.Fault == FaultKind.None ? MayServe(s) : MayProbe(s);
    }

    /// <summary>
    /// Whether pending rents are refused at once: nothing is open, and nothing can be until the server, or the control
    /// connection, answers again.
    /// </summary>
    public static bool IsDown(in OpenState s)
    {
        if (s.Open > 0) return false;
        if (s.Fault is FaultKind.Failed or FaultKind.Unanswered) return true;
        if (s.Fault == FaultKind.NoPermit || s.Expected > 0) return false;

        // Either the control connection cannot confirm that the sessions which hold the permits are gone, its only part
        // in this decision; or the one open that a lease allows was lost.
        return (s.HasControlProblem && s.Closing > 0 && s.Sessions >= s.Permits) || (s.NeedsLease && s.Unanswered > 0);
    }

    /// <summary>Why a pending rent is not served.</summary>
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

        // One connection at a time makes room; one that is closing already is as good.
        : s.Closing == 0 ? OpenAnswer.MakeRoom
        : OpenAnswer.PermitsHeld;

    /// <summary>One probe at a time, wanted or not: only a probe notices that the database is back.</summary>
    private static OpenAnswer MayProbe(in OpenState s) =>
        s.Expected > 0 ? OpenAnswer.EnoughUnderWay
        : s.Sessions >= s.Permits ? OpenAnswer.PermitsHeld
        : s.IsPausing ? OpenAnswer.Pausing
        : OpenAnswer.Probe;

    private static OpenAnswer MayServe(in OpenState s)
    {
        // Connections being opened or made ready will serve rents. Used connections are not counted on, nor are late
        // opens: they may be lost, and the waiting rent needs another.
        if (s.Wanted <= s.Expected - s.Late + s.Validating) return OpenAnswer.NotWanted;

        int most = s.Unanswered == 0 || s.AreOpensAnswered ? s.MaxOpening : MaxOpeningInDoubt;
        return s.Expected >= most ? OpenAnswer.EnoughUnderWay
            : s.Sessions >= s.Permits ? OpenAnswer.PermitsHeld
            : OpenAnswer.Serve;
    }
}

/// <summary>Whether one more open may begin: yes and its purpose, or no and the reason.</summary>
internal enum OpenAnswer
{
    /// <summary>Yes: a rent wants it.</summary>
    Serve,

    /// <summary>Yes: it finds out whether the database is back.</summary>
    Probe,

    /// <summary>Yes: it tries changed credentials.</summary>
    TryCandidate,

    /// <summary>Not yet: to try changed credentials, one connection must close first, because all permits are in
    /// use.</summary>
    MakeRoom,

    /// <summary>No: the pool drains.</summary>
    Draining,

    /// <summary>No: no lease is in force.</summary>
    NoLease,

    /// <summary>No: there are no permits.</summary>
    NoPermits,

    /// <summary>No: an open that the server does not answer is under way, and is the probe.</summary>
    ServerIsSilent,

    /// <summary>No: with a lease there is one open at a time.</summary>
    OneAtATime,

    /// <summary>No: as many opens as are allowed at a time are under way.</summary>
    EnoughUnderWay,

    /// <summary>No: all permits are held.</summary>
    PermitsHeld,

    /// <summary>No: the last open failed a moment ago.</summary>
    Pausing,

    /// <summary>No: no rent needs it.</summary>
    NotWanted,
}
