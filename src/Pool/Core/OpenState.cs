namespace UPool.Core;

/// <summary>All that decides whether one more connection may be opened, at one moment.</summary>
internal readonly record struct OpenState
{
    public bool IsDraining { get; init; }

    public bool NeedsLease { get; init; }

    /// <summary>Whether a lease is in force; of no meaning for a pool that needs none.</summary>
    public bool IsLeased { get; init; }

    public int Permits { get; init; }

    /// <summary>Idle and used.</summary>
    public int Open { get; init; }

    /// <summary>Opens under way, late and unanswered ones included.</summary>
    public int Opening { get; init; }

    /// <summary>Of those, the ones that take longer than a rent can wait for them; unanswered ones are not among
    /// them.</summary>
    public int Late { get; init; }

    /// <summary>Of those, the ones that the server has not answered within the open timeout.</summary>
    public int Unanswered { get; init; }

    /// <summary>Sessions that hold a permit until the server has dropped them.</summary>
    public int Closing { get; init; }

    public FaultKind Fault { get; init; }

    /// <summary>Whether the pause after a failed open has not ended yet.</summary>
    public bool IsPausing { get; init; }

    /// <summary>Whether an open was answered that was sent after the newest unanswered one.</summary>
    public bool AreOpensAnswered { get; init; }

    /// <summary>Whether changed credentials have to be tried now.</summary>
    public bool IsCandidateDue { get; init; }

    /// <summary>Whether the control connection has a problem, so that no closing session can be confirmed as
    /// gone.</summary>
    public bool HasControlProblem { get; init; }

    /// <summary>Rents that want a connection.</summary>
    public int Wanted { get; init; }

    /// <summary>Idle connections being made ready, which will serve one rent each.</summary>
    public int Validating { get; init; }

    /// <summary>The most opens at a time.</summary>
    public int MaxOpening { get; init; }

    /// <summary>All that hold a permit.</summary>
    public int Sessions => Open + Opening + Closing;

    /// <summary>Opens under way that are still expected to be answered.</summary>
    public int Expected => Opening - Unanswered;
}

/// <summary>Why opens fail at present.</summary>
internal enum FaultKind
{
    /// <summary>They do not.</summary>
    None,

    /// <summary>The newest one was answered with an error, or the server cannot be reached.</summary>
    Failed,

    /// <summary>The server has no room for one more session: not broken, full.</summary>
    NoPermit,

    /// <summary>The server has answered nothing since the newest one was sent.</summary>
    Unanswered,
}
