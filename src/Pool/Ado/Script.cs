using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// What a failure of several statements means. Outside a transaction those before the one that failed have taken
/// effect, so nobody may say that nothing was done (INV-9); and no driver says which one it was.
/// </summary>
internal static class Script
{
    /// <summary>The text by which a failure is judged; null for what may be any number of statements: a procedure, a
    /// batch.</summary>
    public static string? TextOf<TStatement>(TStatement statement)
        where TStatement : IStatement =>
        statement.IsProcedure || statement.TextCount != 1 ? null : statement.TextAt(0);

    /// <summary>Whether it looks like one read. One of several statements begins as its first.</summary>
    /// <param name="text">The text.</param>
    /// <param name="isCertain">Whether to look for what a SELECT can call that writes. A view that does is not
    /// seen.</param>
    public static bool IsRead(string? text, bool isCertain) =>
        text is not null && text.AsSpan().TrimStart().StartsWith("SELECT", StringComparison.OrdinalIgnoreCase)
        && !text.Contains(';', StringComparison.Ordinal)
        && (!isCertain || SelectText.OnlyReads(text));

    /// <summary>What the larger values take at least, in bytes.</summary>
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

    /// <summary>Notes what a failure leaves open.</summary>
    public static void NoteFailure(Exception exception, OperationBound bound, string? text, IConnector connector)
    {
        if (bound.Physical.Transaction is not null) return;

        // The server has not taken it at all.
        if (FailureNotes.Find(exception).Failure == DriverFailure.NotTaken && text is not null) return;

        ScriptKind kind = text is null ? ScriptKind.Several : SqlText.KindOf(text);
        if (kind == ScriptKind.Single) return;

        // The most usual script of all: nothing but what may meet any statement can meet its second one.
        if (kind == ScriptKind.SingleAndId && !connector.MayMeetAnyStatement(exception)) return;

        FailureNotes.Unclear(exception);
    }

    /// <summary>
    /// After a failure of one statement outside of a transaction: where it reaches tables without transactions, the
    /// rows that it wrote before its error stay. Nobody else has to ask.
    /// </summary>
    public static async ValueTask LookForPartAsync(
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
            // What the caller hears of is the statement's failure. Without an answer it stays open what it has left.
            FailureNotes.Unclear(exception);
        }
    }
}
