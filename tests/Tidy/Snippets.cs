using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>A block of code in a document.</summary>
/// <param name="Document">The document, relative to the root.</param>
/// <param name="Line">The line of the block's first line of code.</param>
/// <param name="Language">The word after the fence; empty for a picture or an output.</param>
/// <param name="Given">Declarations that the block needs: those of the comment <c>&lt;!-- given: … --&gt;</c> above
/// it.</param>
/// <param name="Code">The code itself.</param>
internal sealed partial record Snippet(string Document, int Line, string Language, string Given, string Code)
{
    /// <summary>All blocks of all documents, in the order of the documents.</summary>
    public static IReadOnlyList<Snippet> All { get; } = [.. Repository.FilesOf(".md").SelectMany(In)];

    /// <summary>The blocks in a language.</summary>
    public static IReadOnlyList<Snippet> Of(string language) => [.. All.Where(block => block.Language == language)];

    /// <inheritdoc/>
    public override string ToString() => $"{Document}:{Line}";

    private static IEnumerable<Snippet> In(string document)
    {
        string[] lines = Repository.Lines(document);
        string given = "";
        for (int i = 0; i < lines.Length; i++)
        {
            if (GivenComment().Match(lines[i]) is { Success: true } comment) given = comment.Groups[1].Value;
            if (Fence().Match(lines[i]) is not { Success: true } fence) continue;

            int first = i + 1;
            string indent = fence.Groups[1].Value;
            int end = Array.FindIndex(lines, first, line => line.TrimEnd() == indent + "```");
            Assert.True(end > 0, $"{document}:{first}: the block is never closed");
            IEnumerable<string> code = lines[first..end].Select(line =>
                line.StartsWith(indent, StringComparison.Ordinal) ? line[indent.Length..] : line);
            yield return new Snippet(document, first + 1, fence.Groups[2].Value, given, string.Join('\n', code));
            given = "";
            i = end;
        }
    }

    [GeneratedRegex("^<!-- given: (.*) -->$")]
    private static partial Regex GivenComment();

    [GeneratedRegex("^( *)```([a-z]*)$")]
    private static partial Regex Fence();
}
