using System.Data.Common;
using System.Runtime.CompilerServices;

namespace UPool.Core;

/// <summary>
/// Notes about an exception from the place that caught it: whether the driver threw it, its meaning there, and whether
/// part of the executed text may be stored nevertheless. Kept beside the exceptions rather than in a wrapper: callers
/// look for the driver's own type and number.
/// </summary>
/// <remarks>
/// The type alone does not identify a driver's failure. Application code throws an <see cref="IOException"/> or a
/// failed HTTP request too, and neither says anything about the database.
/// </remarks>
internal static class FailureNotes
{
    private static readonly ConditionalWeakTable<Exception, Note> Notes = [];

    /// <summary>Notes that an operation of the driver ended with the exception.</summary>
    public static void OfDriver(Exception exception, DriverFailure failure) =>
        Notes.GetOrCreateValue(exception).Failure = failure;

    /// <summary>Notes that statements before the failed one, or the whole text, may have taken effect
    /// (INV-9).</summary>
    public static void Unclear(Exception exception) => Notes.GetOrCreateValue(exception).IsUnclear = true;

    /// <summary>The notes of an exception, or of the first of its causes that has any.</summary>
    public static (DriverFailure Failure, bool IsUnclear) Find(Exception exception)
    {
        for (Exception? one = exception; one is not null; one = one.InnerException)
        {
            if (Notes.TryGetValue(one, out Note? note)) return (note.Failure, note.IsUnclear);
        }

        return default;
    }

    /// <summary>The meaning of an exception for a request.</summary>
    public static FailureKind KindOf(Exception exception, IConnector connector) => exception switch
    {
        RentRefusedException { Reason: RefusalReason.Unavailable } => FailureKind.Unavailable,
        RentRefusedException => FailureKind.Refused,
        DeadlineExceededException => FailureKind.DeadlineExceeded,
        OutcomeUnknownException => FailureKind.OutcomeUnknown,
        TransactionEndedException { MayHaveCommitted: true } => FailureKind.OutcomeUnknown,
        TransactionEndedException => FailureKind.StatementFailed,
        ConnectionSeveredException => FailureKind.ConnectionLost,
        _ => OfDriver(exception, connector),
    };

    private static FailureKind OfDriver(Exception exception, IConnector connector)
    {
        (DriverFailure failure, bool isUnclear) = Find(exception);

        // An exception without a note is the driver's if its type is: application code used the driver directly.
        for (Exception? one = exception; failure == DriverFailure.None && one is not null; one = one.InnerException)
        {
            if (one is DbException) failure = connector.Classify(one);
        }

        return failure switch
        {
            DriverFailure.None => FailureKind.Other,
            DriverFailure.Connection or DriverFailure.SessionLost => FailureKind.ConnectionLost,
            DriverFailure.Unclear => FailureKind.OutcomeUnknown,
            _ when isUnclear => FailureKind.OutcomeUnknown,
            DriverFailure.NoPermit => FailureKind.Unavailable,
            _ => FailureKind.StatementFailed,
        };
    }

    private sealed class Note
    {
        public DriverFailure Failure { get; set; }

        public bool IsUnclear { get; set; }
    }
}
