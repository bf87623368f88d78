using System.Text;
using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>A log event as declared in the code.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Level">Its level.</param>
/// <param name="Text">Its first line, with … for each value.</param>
internal sealed record LogEvent(int Id, string Level, string Text);

/// <summary>Extracts from sources the texts that people see.</summary>
internal static partial class Messages
{
    /// <summary>The placeholder for a value.</summary>
    public const char Value = '…';

    /// <summary>The log events of a source.</summary>
    public static IEnumerable<LogEvent> EventsOf(string source)
    {
        string code = WithoutComments(source);
        foreach (Match found in Event().Matches(code))
        {
            (string text, _) = TextAt(code, found.Index + found.Length);
            yield return new LogEvent(
                int.Parse(found.Groups[1].Value), found.Groups[2].Value,
                Holes().Replace(text, $"{Value}").Split("\\n")[0]);
        }
    }

    /// <summary>The texts of the exceptions that a source throws, with … for each value.</summary>
    public static IEnumerable<string> ThrownBy(string source)
    {
        string code = WithoutComments(source);
        return Throw().Matches(code).Select(found => TextAt(code, found.Index + found.Length).Text).Where(IsForPeople);
    }

    /// <summary>All texts of a source that are sentences for people, with … for each value.</summary>
    public static IEnumerable<string> In(string source)
    {
        string code = WithoutComments(source);
        int at = 0;
        while (FirstLiteral().Match(code, at) is { Success: true } found)
        {
            (string text, at) = TextAt(code, found.Index);
            if (IsForPeople(text)) yield return text;
        }
    }

    /// <summary>The longest part of a text between its values, which an operator can search for.</summary>
    public static string FixedPart(string text) =>
        text.Split(Value).Select(part => part.Trim()).MaxBy(part => part.Length) ?? "";

    // Several words; neither a SQL statement nor a message that only a bug can cause.
    private static bool IsForPeople(string text) =>
        !text.StartsWith("bug:", StringComparison.Ordinal)
        && !text.StartsWith("SELECT ", StringComparison.Ordinal)
        && Words().IsMatch(FixedPart(text));

    // A quote as a character literal would look like the start of a text.
    private static string WithoutComments(string source) => Comment().Replace(source, "").Replace("'\"'", "' '");

    /// <summary>The literal at this position with those concatenated to it, and where it ends.</summary>
    private static (string Text, int End) TextAt(string code, int at)
    {
        var text = new StringBuilder();
        while (NextLiteral().Match(code, at) is { Success: true } opening)
        {
            bool hasHoles = opening.Groups[1].Value.Contains('$');
            at = opening.Index + opening.Length;
            while (code[at] != '"')
            {
                if (hasHoles && code[at] == '{')
                {
                    at = EndOfHole(code, at);
                    text.Append(Value);
                    continue;
                }

                if (code[at] == '\\' && code[at + 1] == '"') at++;
                text.Append(code[at++]);
            }

            at++;
        }

        return (text.ToString(), at);
    }

    private static int EndOfHole(string code, int at)
    {
        int depth = 0;
        do
        {
            if (code[at] == '{') depth++;
            if (code[at] == '}') depth--;
            at++;
        }
        while (depth > 0);

        return at;
    }

    [GeneratedRegex(@"^\s*//.*$", RegexOptions.Multiline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\[LoggerMessage\((\d+), LogLevel\.(\w+),")]
    private static partial Regex Event();

    // Skips the arguments before the message: a parameter's name, a reason.
    [GeneratedRegex(@"\bthrow new \w+(?:Exception)\((?:[\w.()]+,)?(?=\s*\$?"")")]
    private static partial Regex Throw();

    [GeneratedRegex(@"\$?""")]
    private static partial Regex FirstLiteral();

    [GeneratedRegex(@"\G\s*\+?\s*(\$?)""")]
    private static partial Regex NextLiteral();

    [GeneratedRegex(@"\{\w+(?::[^}]*)?\}")]
    private static partial Regex Holes();

    [GeneratedRegex(@"[A-Za-z]{2,}.* .*[a-z]{2,}")]
    private static partial Regex Words();
}
