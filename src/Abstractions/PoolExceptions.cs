using System.Data.Common;

namespace UPool;

/// <summary>A rent was refused: nothing was sent to the database, and the request may be tried again.</summary>
public sealed class RentRefusedException : DbException
{
    /// <summary>Creates the exception.</summary>
    public RentRefusedException(RefusalReason reason, string message, Exception? inner = null)
        : base(message, inner) => Reason = reason;

    /// <summary>Why the rent was refused.</summary>
    public RefusalReason Reason { get; }

    /// <inheritdoc/>
    public override bool IsTransient => true;
}

/// <summary>
/// A statement did not end by its deadline. The caller no longer waits; the pool ends the statement on the server and
/// recovers the connection in the background (INV-6).
/// </summary>
/// <remarks>In autocommit, the statement may have taken effect. In a transaction, it is rolled back.</remarks>
public sealed class DeadlineExceededException : DbException
{
    /// <summary>Creates the exception.</summary>
    public DeadlineExceededException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>
/// The pool took the connection away from its renter: the lease of its permit had ended, or a drain timed out.
/// </summary>
/// <remarks>In autocommit, a statement under way may have taken effect. A transaction is rolled back.</remarks>
public sealed class ConnectionSeveredException : DbException
{
    /// <summary>Creates the exception.</summary>
    public ConnectionSeveredException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    /// <inheritdoc/>
    public override bool IsTransient => true;
}

/// <summary>
/// The server had already ended the transaction. Nothing more of it was sent, because it would have run outside the
/// transaction.
/// </summary>
public sealed class TransactionEndedException : DbException
{
    /// <summary>Creates the exception.</summary>
    public TransactionEndedException(string message, bool mayHaveCommitted, Exception? inner = null)
        : base(message, inner) => MayHaveCommitted = mayHaveCommitted;

    /// <summary>
    /// Whether work of the transaction may be stored, because one of its own statements has committed it. If not, an
    /// error has rolled it back and nothing is stored.
    /// </summary>
    public bool MayHaveCommitted { get; }

    /// <summary>Whether the transaction can be repeated: nothing of it is stored.</summary>
    public override bool IsTransient => !MayHaveCommitted;
}

/// <summary>
/// A commit was sent, and its answer was not seen or leaves its effect open: it may have taken effect or not (INV-9).
/// Never retried in silence.
/// </summary>
public sealed class OutcomeUnknownException : DbException
{
    /// <summary>Creates the exception.</summary>
    public OutcomeUnknownException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
