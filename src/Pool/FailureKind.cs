namespace UPool;

/// <summary>The meaning of an exception of the pool or the driver for a request.</summary>
public enum FailureKind
{
    /// <summary>Not a database error: a bug, or an exception of the caller's own code.</summary>
    Other = 0,

    /// <summary>
    /// The server answered the statement with an error; the connection still works. If its tables are transactional,
    /// the statement had no effect; in a transaction, earlier statements await the rollback.
    /// </summary>
    StatementFailed,

    /// <summary>The connection was lost while a statement was under way; its effect is unknown.</summary>
    ConnectionLost,

    /// <summary>The rent was refused; nothing was sent.</summary>
    Refused,

    /// <summary>The statement did not end by its deadline; in autocommit its effect is unknown.</summary>
    DeadlineExceeded,

    /// <summary>
    /// A commit whose answer was not seen or leaves its effect open; or, outside a transaction, a script, a procedure
    /// or a batch in which a statement failed after earlier ones had taken effect; or a transaction that one of its own
    /// statements had committed.
    /// </summary>
    OutcomeUnknown,

    /// <summary>The database cannot be reached or refuses this account; nothing was sent.</summary>
    Unavailable,
}
