using System.Data.Common;
using System.Runtime.CompilerServices;

namespace UPool.Core;

/// <summary>
/// What is known of an exception from where it was caught: that it came out of the driver at all, what it means there,
/// and whether part of what was executed may be stored all the same. Beside the exceptions rather than around them:
/// callers look for the driver's own type and number.
/// </summary>
/// <remarks>
/// The type alone does not tell. Own code throws an <see cref="IOException"/> or a failed HTTP request too, and neither
/// says anything about the database.
/// </remarks>
internal static class FailureNotes
{
    private static readonly ConditionalWeakTable<Exception, Note> Notes = [];

    /// <summary>An operation of the driver ended with it.</summary>
    public static void OfDriver(Exception exception, DriverFailure failure) =>
        Notes.GetOrCreateValue(exception).Failure = failure;

    /// <summary>Statements before the one that failed have taken effect, or the whole may have (INV-9).</summary>
    public static void Unclear(Exception exception) => Notes.GetOrCreateValue(exception).IsUnclear = true;

    /// <summary>What was noted of an exception, or of the first of its causes of which anything was.</summary>
    public static (DriverFailure Failure, bool IsUnclear) Find(Exception exception)
    {
        for (Exception? one = exception; one is not null; one = one.InnerException)
        {
            if (Notes.TryGetValue(one, out Note? note)) return (note.Failure, note.IsUnclear);
        }

        return default;
    }

    /// <summary>What an exception means for a request.</summary>
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

        // One that was not seen to come out of the driver is the driver's when its type is: from own code's use of it.
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
