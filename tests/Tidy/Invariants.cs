using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>A guarantee as ARCHITECTURE.md defines it.</summary>
/// <param name="Name">INV-n.</param>
/// <param name="Tests">The names of its tests.</param>
/// <param name="IsPlanned">Whether it is marked as not held yet.</param>
internal sealed record Invariant(string Name, IReadOnlyList<string> Tests, bool IsPlanned);

/// <summary>Reads the guarantees, the tests that they name and the places that cite them.</summary>
internal static partial class Invariants
{
    /// <summary>
    /// The definitions in a text. Each begins a line with its name, in bold or after a list mark or a table bar, and
    /// ends at the next one, an empty line or a heading. Tests are in backticks, with or without their class.
    /// </summary>
    public static IReadOnlyList<Invariant> Read(string text)
    {
        var found = new List<(string Name, List<string> Lines)>();
        var open = false;
        foreach (var line in text.Split('\n').Select(line => line.TrimEnd()))
        {
            if (Definition().Match(line) is { Success: true } definition)
            {
                found.Add((definition.Groups[1].Value, [line]));
                open = true;
            }
            else if (line.Length == 0 || line[0] == '#')
            {
                open = false;
            }
            else if (open)
            {
                found[^1].Lines.Add(line);
            }
        }

        return
        [
            .. found.Select(one =>
            {
                var words = string.Join('\n', one.Lines);
                return new Invariant(
                    one.Name,
                    [.. TestName().Matches(words).Select(match => match.Groups[1].Value)],
                    words.Contains("*planned*", StringComparison.Ordinal));
            }),
        ];
    }

    /// <summary>The names of the test methods in a source.</summary>
    public static IEnumerable<string> TestMethods(string source) =>
        TestMethod().Matches(source).Select(match => match.Groups[1].Value);

    /// <summary>The names of the guarantees that a text cites.</summary>
    public static IEnumerable<string> Cited(string text) => Citation().Matches(text).Select(match => match.Value);

    [GeneratedRegex(@"^\s*(?:[-*|]\s+(?:\*\*)?|\*\*)(INV-\d+)\b")]
    private static partial Regex Definition();

    [GeneratedRegex(@"`(?:\w+\.)*(\w+_\w+)(?:\(\))?`")]
    private static partial Regex TestName();

    [GeneratedRegex(@"^\s+public (?:static )?(?:async )?(?:void|Task|ValueTask) (\w+_\w+)\(", RegexOptions.Multiline)]
    private static partial Regex TestMethod();

    [GeneratedRegex(@"\bINV-\d+\b")]
    private static partial Regex Citation();
}
