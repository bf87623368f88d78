namespace UPool;

/// <summary>What an exception of the pool or of the driver means for a request.</summary>
public enum FailureKind
{
    /// <summary>Not an error of the database: a bug, or a caller's own exception.</summary>
    Other = 0,

    /// <summary>
    /// The server answered the statement with an error and the connection lives. It had no effect (where its tables
    /// are transactional; in a transaction, what was done before it awaits the rollback).
    /// </summary>
    StatementFailed,

    /// <summary>The connection was lost while a statement was under way: its effect is unknown.</summary>
    ConnectionLost,

    /// <summary>The rent was refused; nothing was sent.</summary>
    Refused,

    /// <summary>The statement did not end by its deadline: in autocommit its effect is unknown.</summary>
    DeadlineExceeded,

    /// <summary>
    /// A commit whose answer was not seen or leaves its effect open; or, outside a transaction, a script, a procedure
    /// or a batch of which a statement failed: those before it have taken effect; or a transaction that one of its own
    /// statements had committed.
    /// </summary>
    OutcomeUnknown,

    /// <summary>The database cannot be reached or refuses this account; nothing was sent.</summary>
    Unavailable,
}
