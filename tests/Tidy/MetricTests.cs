using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>The documents explain every metric and no other.</summary>
public sealed partial class MetricTests
{
    private const string Document = "docs/operating/monitoring.md";

    private static HashSet<string> Made =>
        [.. Repository.FilesOf(".cs", "src/").SelectMany(file => MadeBy(Repository.Text(file, "code")))];

    private static HashSet<string> Explained =>
        [.. ExplainedIn(Repository.Text(Document, "a row for every metric"))];

    [Fact]
    public void Document_EveryMetric_IsExplained()
    {
        Assert.NotEmpty(Made);
        Findings.AssertNone($"metrics that {Document} does not explain", Made.Except(Explained).Order());
    }

    [Fact]
    public void Document_EveryRow_IsAMetricOfTheCode() =>
        Findings.AssertNone($"metrics in {Document} that no code creates", Explained.Except(Made).Order());

    [Fact]
    public void MadeBy_Sample_FindsEveryKindOfInstrument()
    {
        const string Sample = """
            _a = meter.CreateCounter<long>("upool.a", "{x}");
            _b = meter.CreateHistogram<double>(
                "upool.b", "s");
            meter.CreateObservableUpDownCounter(
                "db.client.c", () => 1);
            """;

        Assert.Equal(["upool.a", "upool.b", "db.client.c"], MadeBy(Sample));
    }

    [Fact]
    public void ExplainedIn_Sample_FindsTheFirstCellsAlone() =>
        Assert.Equal(["upool.a"], ExplainedIn("| Metric | Kind |\n| `upool.a` | see `upool.b` |\n`upool.c` is none."));

    private static IEnumerable<string> MadeBy(string source) =>
        Instrument().Matches(source).Select(match => match.Groups[1].Value);

    private static IEnumerable<string> ExplainedIn(string text) =>
        Cell().Matches(text).Select(match => match.Groups[1].Value);

    [GeneratedRegex(@"\.Create(?:Observable)?(?:Counter|UpDownCounter|Histogram|Gauge)(?:<\w+>)?\(\s*""([^""]+)""")]
    private static partial Regex Instrument();

    [GeneratedRegex(@"^\| `((?:db\.client|upool)\.[\w.]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Cell();
}
