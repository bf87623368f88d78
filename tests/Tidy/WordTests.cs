using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis.CSharp;

namespace UPool.Tidy.Tests;

/// <summary>
/// Comments, messages and documents keep to plain words: an engineer reads each once. A reviewer who has to decode a
/// phrase adds it to the list.
/// </summary>
public sealed partial class WordTests
{
    // Phrase, and what to write instead.
    private static readonly (Regex Phrase, string Instead)[] Banned =
    [
        // In place of a noun at the head of a sentence; a question is allowed.
        (Any(@"(?-i)(?<=^|[.:;] )(Who|Whose|Whoever|What|Whatever|Whichever) (?![^.?!]*\?)"), "the noun"),
        (Any(@"\b(whoever|whosoever|whomever)\b"), "the noun: 'the caller'"),
        (Any(@"\b(says?|said|saying|tells?|told) so\b"), "'logs a warning', 'names the problem'"),
        (Any(@"\bails?\b"), "'problem'"),
        (Any(@"\bto and fro\b"), "'back and forth'"),
        (Any(@"\b(word of the|(server|driver|database|coordinator)'s word)\b"), "'reply', 'confirmation', 'message'"),
        (Any(@"\b(dearest|oftener)\b"), "'worst', 'more often'"),
        (Any(@"\b(an|the|this|that|each|every|one|next|first|more|other) askings?\b"), "'read batch'"),
    ];

    [Fact]
    public void Comments_EverySource_HoldNoBannedPhrase() =>
        Findings.AssertNone(
            "comments with a phrase to decode",
            from file in Repository.FilesOf(".cs", "src/", "tests/", "bench/")
            from comment in Comments(Repository.Lines(file))
            from found in FindIn(comment.Text)
            select $"{file}:{comment.Line}: {found}");

    [Fact]
    public void Messages_EverySource_HoldNoBannedPhrase() =>
        Findings.AssertNone(
            "messages with a phrase to decode",
            from file in Repository.FilesOf(".cs", "src/")
            from text in Texts(Repository.Text(file, "code"))
            from found in FindIn(text)
            select $"{file}: {found}");

    [Fact]
    public void Documents_Every_HoldNoBannedPhrase() =>
        Findings.AssertNone(
            "paragraphs with a phrase to decode",
            from file in Repository.FilesOf(".md")
            from paragraph in Paragraphs(Repository.Lines(file))
            from found in FindIn(paragraph.Text)
            select $"{file}:{paragraph.Line}: {found}");

    [Theory]
    [InlineData("What is asked for is answered.", true)]
    [InlineData("One waits. Who comes later joins.", true)]
    [InlineData("What does a client see?", false)]
    [InlineData("The callers that know what they wait for.", false)]
    [InlineData("Closed by whoever opened it.", true)]
    [InlineData("The log says so.", true)]
    [InlineData("It fails and says why.", false)]
    [InlineData("What ails it?", true)]
    [InlineData("It waits for the server's word.", true)]
    [InlineData("An error of the next asking.", true)]
    [InlineData("After asking the server, it goes on.", false)]
    public void FindIn_Sample_FindsPhrasesAlone(string text, bool isFound) => Assert.Equal(isFound, FindIn(text).Any());

    [Fact]
    public void Comments_BrokenOverLines_AreOneText() =>
        Assert.Equal(
            [(1, "One says so."), (4, "Two.")],
            Comments(["    /// <summary>One says", "    /// so.</summary>", "    int x; // no", "    // Two."]));

    private static IEnumerable<string> FindIn(string text) =>
        from rule in Banned
        let match = rule.Phrase.Match(text)
        where match.Success
        let around = text[Math.Max(0, match.Index - 20)..Math.Min(text.Length, match.Index + 40)]
        select $"'{match.Value.Trim()}' in '{around}'; write {rule.Instead}";

    private static Regex Any(string pattern) => new(pattern, RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

    /// <summary>The fixed parts of the string literals.</summary>
    private static IEnumerable<string> Texts(string source) =>
        from token in CSharpSyntaxTree.ParseText(source).GetRoot().DescendantTokens()
        where token.Kind() is SyntaxKind.StringLiteralToken or SyntaxKind.InterpolatedStringTextToken
            or SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken
        select token.ValueText;

    /// <summary>The comments that stand on lines of their own, each with its first line.</summary>
    private static IEnumerable<(int Line, string Text)> Comments(string[] lines) =>
        Blocks(lines.Select(static line => CommentLine().Match(line) is { Success: true } found
            ? Tag().Replace(found.Groups[1].Value, " ").Trim()
            : null));

    /// <summary>The text of a document without its code.</summary>
    private static IEnumerable<(int Line, string Text)> Paragraphs(string[] lines)
    {
        bool isCode = false;
        var texts = new List<string?>();
        foreach (string line in lines)
        {
            bool isFence = line.TrimStart().StartsWith("```", StringComparison.Ordinal);
            texts.Add(isCode || isFence || string.IsNullOrWhiteSpace(line) ? null : Code().Replace(line, "`").Trim());
            isCode ^= isFence;
        }

        return Blocks(texts);
    }

    // Lines that follow each other are one text.
    private static IEnumerable<(int Line, string Text)> Blocks(IEnumerable<string?> lines)
    {
        var block = new List<string>();
        int number = 0, first = 0;
        foreach (string? line in lines.Append(null))
        {
            number++;
            if (line is not null)
            {
                if (block.Count == 0) first = number;
                if (line.Length > 0) block.Add(line);
            }
            else if (block.Count > 0)
            {
                yield return (first, string.Join(' ', block));
                block.Clear();
            }
        }
    }

    [GeneratedRegex(@"^\s*///?\s?(.*)$")]
    private static partial Regex CommentLine();

    // Those that begin or end a text; <c> and <see> stand within one.
    [GeneratedRegex("</?(summary|remarks|para|list|item|description|returns|exception|param|typeparam|content)[^>]*>")]
    private static partial Regex Tag();

    [GeneratedRegex("`[^`]*`")]
    private static partial Regex Code();
}
