using System.Text;

namespace UPool.Core;

/// <summary>What may be told of a statement's text: values that somebody wrote into it are taken out (INV-8).</summary>
internal static class StatementText
{
    // Enough to know a statement by; a generated one of megabytes would fill the traces.
    private const int MaxLength = 2048;

    /// <summary>The first word, in capitals: SELECT. <c>STATEMENT</c> when there is none. What a script sets first says
    /// nothing of what it is for: of <c>SET …; INSERT …</c> it is INSERT.</summary>
    public static string Operation(string text)
    {
        int start = 0;
        while (true)
        {
            while (start < text.Length && !char.IsAsciiLetter(text[start])) start++;
            int end = start;
            while (end < text.Length && char.IsAsciiLetter(text[end])) end++;
            if (end == start) return "STATEMENT";

            string word = text[start..end].ToUpperInvariant();
            if (word != "SET" || NextStatement(text, end) is not { } next) return word;

            start = next;
        }
    }

    /// <summary>
    /// The text with ? for each literal; names and parameters stay. Quoted in either way is a value: in MySQL's default
    /// mode both are. Comments are left out, because they may hold anything.
    /// </summary>
    public static string WithoutValues(string text)
    {
        var kept = new StringBuilder(Math.Min(text.Length, MaxLength));
        int at = 0;
        while (at < text.Length && kept.Length < MaxLength)
        {
            char c = text[at];
            if (c is '\'' or '"')
            {
                kept.Append('?');
                at = EndOfQuoted(text, at);
            }
            else if (c == '`')
            {
                int nameEnd = EndOfQuoted(text, at);
                kept.Append(text, at, nameEnd - at);
                at = nameEnd;
            }
            else if (EndOfComment(text, at) is { } commentEnd)
            {
                kept.Append(' ');
                at = commentEnd;
            }
            else if (char.IsAsciiDigit(c) || (c == '.' && at + 1 < text.Length && char.IsAsciiDigit(text[at + 1])))
            {
                kept.Append('?');
                at = EndOfWord(text, at, withPoints: true);
            }
            else if (IsWord(c) || c == '@')
            {
                // As a whole, so that a digit in a name is not taken for a number.
                int wordEnd = EndOfWord(text, at + 1, withPoints: false);
                kept.Append(text, at, wordEnd - at);
                at = wordEnd;
            }
            else
            {
                kept.Append(c);
                at++;
            }
        }

        if (kept.Length > MaxLength) kept.Length = MaxLength;
        return at < text.Length ? $"{kept}…" : kept.ToString();
    }

    // Where the next statement of a script begins; null when this is the last one.
    private static int? NextStatement(string text, int at)
    {
        while (at < text.Length && text[at] != ';')
            at = text[at] is '\'' or '"' or '`' ? EndOfQuoted(text, at) : at + 1;
        while (at < text.Length && !char.IsAsciiLetter(text[at])) at++;
        return at < text.Length ? at : null;
    }

    private static bool IsWord(char c) => char.IsLetterOrDigit(c) || c is '_' or '$';

    private static int EndOfWord(string text, int at, bool withPoints)
    {
        while (at < text.Length && (IsWord(text[at]) || text[at] == '@' || (withPoints && text[at] == '.'))) at++;
        return at;
    }

    // Behind the closing quote. A quote is escaped by its double, and by a backslash or not: that depends on a mode of
    // the session that is not known here. So nothing is told of what comes after one.
    private static int EndOfQuoted(string text, int at)
    {
        char quote = text[at++];
        for (; at < text.Length; at++)
        {
            if (text[at] == '\\' && quote != '`') break;
            if (text[at] != quote) continue;
            if (at + 1 >= text.Length || text[at + 1] != quote) return at + 1;

            at++;
        }

        return text.Length;
    }

    private static int? EndOfComment(string text, int at)
    {
        ReadOnlySpan<char> rest = text.AsSpan(at);
        if (rest.StartsWith("/*"))
        {
            int close = rest.IndexOf("*/");
            return close < 0 ? text.Length : at + close + 2;
        }

        if (rest.StartsWith("--") || rest.StartsWith("#"))
        {
            int line = rest.IndexOf('\n');
            return line < 0 ? text.Length : at + line;
        }

        return null;
    }
}
