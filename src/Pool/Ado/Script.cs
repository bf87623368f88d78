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
    public static bool IsRead(string? text) =>
        text is not null && text.AsSpan().TrimStart().StartsWith("SELECT", StringComparison.OrdinalIgnoreCase)
        && !text.Contains(';', StringComparison.Ordinal);

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
}
