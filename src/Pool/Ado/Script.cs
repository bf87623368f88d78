using System.Data;

using UPool.Core;

namespace UPool;

/// <summary>How many statements an execution may be, by which its failure is judged.</summary>
internal enum ScriptKind
{
    /// <summary>One.</summary>
    Single,

    /// <summary>One, and <c>SELECT LAST_INSERT_ID()</c> behind it.</summary>
    SingleAndId,

    /// <summary>Several, or who knows how many.</summary>
    Several,
}

/// <summary>
/// What a failure of several statements means. Outside a transaction those before the one that failed have taken
/// effect, so nobody may say that nothing was done (INV-9); and no driver says which one it was.
/// </summary>
internal static class Script
{
    private const string Id = "SELECT LAST_INSERT_ID()";
    private const string Mode = "SET sql_mode = ";
    private const string Ends = " \t\r\n;";

    /// <summary>Judges a text. A semicolon within quotes counts too: to claim too little is better than too
    /// much.</summary>
    public static ScriptKind Of(string text, CommandType type)
    {
        ReadOnlySpan<char> statements = text.AsSpan().Trim(Ends);
        if (type == CommandType.StoredProcedure || statements.StartsWith("CALL", StringComparison.OrdinalIgnoreCase))
            return ScriptKind.Several;

        // The session's mode, set for the statement behind it: the reset takes that back, so a failure of either leaves
        // nothing done.
        int end = statements.IndexOf(';');
        while (end >= 0 && statements.StartsWith(Mode, StringComparison.OrdinalIgnoreCase))
        {
            statements = statements[(end + 1)..].Trim(Ends);
            end = statements.IndexOf(';');
        }

        if (end < 0) return ScriptKind.Single;

        bool isId = statements[(end + 1)..].Trim(Ends).Equals(Id, StringComparison.OrdinalIgnoreCase);
        return isId ? ScriptKind.SingleAndId : ScriptKind.Several;
    }

    /// <summary>Notes what a failure leaves open.</summary>
    public static void NoteFailure(Exception exception, OperationBound bound, ScriptKind kind, IConnector connector)
    {
        if (kind == ScriptKind.Single || bound.Physical.Transaction is not null) return;

        // The most usual script of all: nothing but what may meet any statement can meet its second one.
        if (kind == ScriptKind.SingleAndId && !connector.MayMeetAnyStatement(exception)) return;

        UnclearOutcomes.Note(exception);
    }
}
