using System.Text;

namespace UPool.Core;

/// <summary>The part of a statement's text that may be reported: values written into it are removed (INV-8).</summary>
internal static class StatementText
{
    // Enough to recognize a statement; a generated one of megabytes would fill the traces.
    private const int MaxLength = 2048;

    /// <summary>The first word, in capitals, such as SELECT; <c>STATEMENT</c> when there is none. A leading SET is
    /// skipped, because it says nothing about a script's purpose: <c>SET …; INSERT …</c> gives INSERT.</summary>
    public static string Operation(string text)
    {
        int start = 0;
        while (true)
        {
            start = StartOfWord(text, start);
            int end = start;
            while (end < text.Length && char.IsAsciiLetter(text[end])) end++;
            if (end == start) return "STATEMENT";

            string word = text[start..end].ToUpperInvariant();
            if (word != "SET" || NextStatement(text, end) is not { } next) return word;

            start = next;
        }
    }

    /// <summary>
    /// The text with ? for each literal; names and parameters stay. Both kinds of quotes hold a value, as in MySQL's
    /// default mode. Comments are left out, because they may hold anything.
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
                // The whole word, so that a digit in a name is not taken for a number.
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
        while (at < text.Length && text[at] != ';') at = EndOfUnread(text, at) ?? at + 1;
        at = StartOfWord(text, at);
        return at < text.Length ? at : null;
    }

    // Past comments and quoted text, which may hold anything (INV-8).
    private static int StartOfWord(string text, int at)
    {
        while (at < text.Length && !char.IsAsciiLetter(text[at])) at = EndOfUnread(text, at) ?? at + 1;
        return at;
    }

    private static int? EndOfUnread(string text, int at) =>
        text[at] is '\'' or '"' or '`' ? EndOfQuoted(text, at) : EndOfComment(text, at);

    private static bool IsWord(char c) => char.IsLetterOrDigit(c) || c is '_' or '$';

    private static int EndOfWord(string text, int at, bool withPoints)
    {
        while (at < text.Length && (IsWord(text[at]) || text[at] == '@' || (withPoints && text[at] == '.'))) at++;
        return at;
    }

    // The place after the closing quote. A doubled quote is an escaped one. Whether a backslash escapes depends on a
    // mode of the session that is not known here, so the text after a backslash is not reported.
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
            // The star of the opening does not close it: '/*/' is an open comment.
            int close = rest[2..].IndexOf("*/");
            return close < 0 ? text.Length : at + 2 + close + 2;
        }

        if (rest.StartsWith("--") || rest.StartsWith("#"))
        {
            int line = rest.IndexOf('\n');
            return line < 0 ? text.Length : at + line;
        }

        return null;
    }
}
