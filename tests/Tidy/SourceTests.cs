using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>The rules for every source file.</summary>
public sealed partial class SourceTests
{
    private const int MaxFileLines = 500;
    private const int MaxColumns = 120;

    // The text with which a longer file gives its reason.
    private const string Excuse = "Longer than 500 lines because";
    private const int ExcuseWithinLines = 10;

    // Concatenated, because these files are searched too.
    private const string ToDo = "FIX" + "ME";

    [Fact]
    public void Files_EverySource_IsAtMost500LinesOrSaysWhy() =>
        Findings.AssertNone(
            "files of more than 500 lines without a reason at their top",
            from file in Sources()
            let lines = Repository.Lines(file)
            where lines.Length > MaxFileLines
                && !lines.Take(ExcuseWithinLines).Any(line => line.Contains(Excuse, StringComparison.Ordinal))
            select $"{file}: {lines.Length} lines");

    [Fact]
    public void Lines_EverySource_HasAtMost120Columns() =>
        Findings.AssertNone(
            "lines of more than 120 columns",
            from file in Repository.FilesOf(".cs", "src/", "tests/")
            from found in Numbered(file)
            where found.Line.Length > MaxColumns
            select $"{file}:{found.Number}: {found.Line.Length} columns");

    [Fact]
    public void Lines_EveryFile_HoldNoNoteForLater() =>
        Findings.AssertNone(
            $"lines with {ToDo}",
            from file in Repository.Files
            from found in Numbered(file)
            where found.Line.Contains(ToDo, StringComparison.Ordinal)
            select $"{file}:{found.Number}: {found.Line.Trim()}");

    [Fact]
    public void Tests_EveryOne_IsRun() =>
        Findings.AssertNone(
            "tests that skip themselves",
            from file in Repository.FilesOf(".cs", "tests/")
            from found in Numbered(file)
            where Skipping().IsMatch(found.Line)
            select $"{file}:{found.Number}: {found.Line.Trim()}");

    [Fact]
    public void Lines_EveryFile_NameNoFolderOfOneMachine() =>
        Findings.AssertNone(
            "lines with a folder of one machine",
            from file in Repository.Files
            from found in Numbered(file)
            where MachineFolder().IsMatch(found.Line)
            select $"{file}:{found.Number}: {found.Line.Trim()}");

    [Theory]
    [InlineData("[Fact(Skip" + " = \"later\")]", true)]
    [InlineData("[Theory(SkipWhen" + "=nameof(X))]", true)]
    [InlineData("Assert.Sk" + "ip(\"no server\");", true)]
    [InlineData("var rest = lines.Skip(3);", false)]
    [InlineData("public int Skipped = 3;", false)]
    public void Skipping_Sample_IsToldFromWhatLooksLikeIt(string line, bool skips) =>
        Assert.Equal(skips, Skipping().IsMatch(line));

    [Theory]
    [InlineData("cd /ro" + "ot/project", true)]
    [InlineData("see '/Us" + "ers/me/x'", true)]
    [InlineData("src/work/x", false)]
    [InlineData("https://example.org/work/x", false)]
    public void MachineFolder_Sample_IsToldFromWhatLooksLikeIt(string line, bool names) =>
        Assert.Equal(names, MachineFolder().IsMatch(line));

    [GeneratedRegex(@"\bSkip(When|Unless|Exceptions|Type)?\s*=[^=>]|\bAssert\.Skip")]
    private static partial Regex Skipping();

    // Not within a longer path or a URL.
    [GeneratedRegex(@"(?<![\w.~)}\]*/-])/(root|Users|work|tmp/wt)/")]
    private static partial Regex MachineFolder();

    private static IEnumerable<string> Sources() =>
        Repository.FilesOf(".cs").Concat(Repository.FilesOf(".sql")).Concat(Repository.FilesOf(".sh"));

    private static IEnumerable<(int Number, string Line)> Numbered(string file) =>
        Repository.Lines(file).Select((line, index) => (index + 1, line));
}
