namespace UPool.Core;

/// <summary>The state at one moment that decides whether one more connection may be opened.</summary>
internal readonly record struct OpenState
{
    public bool IsDraining { get; init; }

    public bool NeedsLease { get; init; }

    /// <summary>Whether a lease is in force; meaningless for a pool that needs none.</summary>
    public bool IsLeased { get; init; }

    public int Permits { get; init; }

    /// <summary>Idle and used connections.</summary>
    public int Open { get; init; }

    /// <summary>Opens under way, late and unanswered ones included.</summary>
    public int Opening { get; init; }

    /// <summary>Opens that take longer than a rent can wait for them; unanswered ones are not included.</summary>
    public int Late { get; init; }

    /// <summary>Opens that the server has not answered within the open timeout.</summary>
    public int Unanswered { get; init; }

    /// <summary>Sessions that hold a permit until the server has dropped them.</summary>
    public int Closing { get; init; }

    public FaultKind Fault { get; init; }

    /// <summary>Whether the pause after a failed open is still running.</summary>
    public bool IsPausing { get; init; }

    /// <summary>Whether an open that was sent after the newest unanswered one was answered.</summary>
    public bool AreOpensAnswered { get; init; }

    /// <summary>Whether changed credentials have to be tried now.</summary>
    public bool IsCandidateDue { get; init; }

    /// <summary>Whether the control connection has a problem, so that no closing session can be confirmed
    /// gone.</summary>
    public bool HasControlProblem { get; init; }

    /// <summary>Rents that want a connection.</summary>
    public int Wanted { get; init; }

    /// <summary>Idle connections being made ready, which will serve one rent each.</summary>
    public int Validating { get; init; }

    /// <summary>The most opens at a time.</summary>
    public int MaxOpening { get; init; }

    /// <summary>All sessions that hold a permit.</summary>
    public int Sessions => Open + Opening + Closing;

    /// <summary>Opens under way that are still expected to be answered.</summary>
    public int Expected => Opening - Unanswered;
}

/// <summary>Why opens fail at present.</summary>
internal enum FaultKind
{
    /// <summary>Opens do not fail.</summary>
    None,

    /// <summary>The newest open was answered with an error, or the server cannot be reached.</summary>
    Failed,

    /// <summary>The server has no room for one more session: it is full, not broken.</summary>
    NoPermit,

    /// <summary>The server has answered nothing since the newest open was sent.</summary>
    Unanswered,
}
