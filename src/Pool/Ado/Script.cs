using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// The meaning of a failure in several statements. Outside a transaction, the statements before the failed one have
/// taken effect, so the failure must not be reported as having no effect (INV-9). No driver reports which statement
/// failed.
/// </summary>
internal static class Script
{
    /// <summary>The text used to judge a failure; null for a procedure or a batch, which may be any number of
    /// statements.</summary>
    public static string? TextOf<TStatement>(TStatement statement)
        where TStatement : IStatement =>
        statement.IsProcedure || statement.TextCount != 1 ? null : statement.TextAt(0);

    /// <summary>Whether the text looks like a single read. A script begins like its first statement.</summary>
    /// <param name="text">The text.</param>
    /// <param name="isCertain">Whether to look for functions in a SELECT that may write. A view that calls one is not
    /// detected.</param>
    public static bool IsRead(string? text, bool isCertain) =>
        text is not null && text.AsSpan().TrimStart().StartsWith("SELECT", StringComparison.OrdinalIgnoreCase)
        && !text.Contains(';', StringComparison.Ordinal)
        && (!isCertain || SelectText.OnlyReads(text));

    /// <summary>The least size of the larger values, in bytes.</summary>
    public static long SizeOf(DbParameterCollection parameters)
    {
        long size = 0;
        foreach (DbParameter parameter in parameters)
        {
            size += parameter.Value switch
            {
                string text => text.Length,
                byte[] bytes => bytes.Length,
                ReadOnlyMemory<byte> bytes => bytes.Length,
                Memory<byte> bytes => bytes.Length,
                ArraySegment<byte> bytes => bytes.Count,
                ReadOnlyMemory<char> text => text.Length,
                Memory<char> text => text.Length,
                System.Text.StringBuilder text => text.Length,
                Stream { CanSeek: true } stream => stream.Length,
                _ => 0,
            };
        }

        return size;
    }

    /// <summary>Notes that the effect of a failed execution is unclear, if it is.</summary>
    public static void NoteFailure(Exception exception, OperationBound bound, string? text, IConnector connector)
    {
        if (bound.Physical.Transaction is not null) return;

        // The server did not accept the statement at all.
        if (FailureNotes.Find(exception).Failure == DriverFailure.NotTaken && text is not null) return;

        ScriptKind kind = text is null ? ScriptKind.Several : SqlText.KindOf(text);
        if (kind == ScriptKind.Single) return;

        // The most common script, a statement and its id: the second statement fails only with errors that any
        // statement may meet.
        if (kind == ScriptKind.SingleAndId && !connector.MayMeetAnyStatement(exception)) return;

        FailureNotes.Unclear(exception);
    }

    /// <summary>
    /// After a single statement failed outside a transaction: checks whether it writes to tables without transactions,
    /// where the rows written before the error stay. Other failures need no query.
    /// </summary>
    public static async ValueTask NotePartialEffectAsync(
        Exception exception, PooledConnection connection, OperationBound bound, string? text, CancellationToken token)
    {
        PhysicalConnection physical = bound.Physical;
        if (text is null || !bound.IsHeld || physical.IsBroken || physical.Watch is not null) return;
        if (FailureNotes.Find(exception) is { IsUnclear: true } or { Failure: DriverFailure.NotTaken }) return;
        if (FailureNotes.KindOf(exception, connection.Pool.Connector) != FailureKind.StatementFailed) return;
        if (IsRead(text, isCertain: true)) return;

        try
        {
            if (await connection.RunAsync(physical.MayKeepPartAsync(text), bound, token).ConfigureAwait(false))
                FailureNotes.Unclear(exception);
        }
        catch (Exception failure) when (failure is DbException or OperationCanceledException)
        {
            // The caller gets the statement's own failure. Without an answer, its remaining effect stays open.
            FailureNotes.Unclear(exception);
        }
    }
}
