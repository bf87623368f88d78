using UPool.Bench.Runner.Http;
using UPool.Bench.Runner.Report;
using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Tests;

/// <summary>The published form of the results.</summary>
public sealed class DocumentTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("upool-bench-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "performance.md");

    private ResultFolder Results => new(System.IO.Path.Combine(_folder, "results"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task WriteAsync_SomeResults_WritesTablesAndPlotsBetweenTheMarksAlone()
    {
        await File.WriteAllTextAsync(Path, "before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n");
        await Results.WriteAsync(OverHttp(own: [1010, 1020, 1030], best: [1000, 1000, 1000]));

        await new Document(Path).WriteAsync(Results);

        string text = await File.ReadAllTextAsync(Path);
        Assert.StartsWith("before\n<!-- measured -->\n", text, StringComparison.Ordinal);
        Assert.EndsWith("<!-- /measured -->\nafter\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("old", text, StringComparison.Ordinal);
        Assert.Contains("| 1,020 ", text, StringComparison.Ordinal);
        Assert.Contains("1.02 (1.01 to 1.03)", text, StringComparison.Ordinal);
        Assert.Contains("Not measured yet: `./bench.sh pool`.", text, StringComparison.Ordinal);
        Assert.Contains("![GET /user/list](performance/get-user-list.svg)", text, StringComparison.Ordinal);
        string plot = await File.ReadAllTextAsync(System.IO.Path.Combine(_folder, "performance", "get-user-list.svg"));
        Assert.Contains("cohosted", plot, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WriteAsync_NoMarks_ThrowsAndLeavesTheDocument()
    {
        await File.WriteAllTextAsync(Path, "words");

        await Assert.ThrowsAsync<InvalidDataException>(() => new Document(Path).WriteAsync(Results));

        Assert.Equal("words", await File.ReadAllTextAsync(Path));
    }

    [Theory]
    [InlineData(1010, true)]
    [InlineData(990, false)]
    public void All_OverHttp_JudgesByTheRatioOfMedians(double own, bool isMet)
    {
        PartResult http = OverHttp([own, own, own], [1000, 1000, 1000]);

        IReadOnlyList<Bar> bars = new Bars(new Dictionary<string, PartResult> { [HttpPart.Name] = http }).All();

        Assert.Equal(
            isMet,
            bars.Single(static bar => bar.What == "`GET /user/list`, 64 clients: cohosted against handwritten-best")
                .IsMet);
        Assert.All(
            bars.Where(static bar => bar.Figure == "not measured"), static bar => Assert.Null(bar.IsMet));
    }

    [Fact]
    public void All_LowerBoundTooLow_IsNotMet()
    {
        PartResult http = OverHttp([1100, 900, 1010, 1000, 950], [1000, 1000, 1000, 1000, 1000]);

        Bar bar = new Bars(new Dictionary<string, PartResult> { [HttpPart.Name] = http }).All()
            .Single(static bar => bar.What == "`GET /user/list`, 64 clients: cohosted against handwritten-best");

        Assert.Equal(("≥ 1, lower bound ≥ 0.97", false), (bar.Limit, bar.IsMet));
    }

    [Fact]
    public async Task ReadAsync_WrittenByAnotherProgram_TakesWhatTheFormSays()
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Results.FileOf("pool"))!);
        await File.WriteAllTextAsync(Results.FileOf("pool"), """
            {"part":"pool","rows":[
                {"name":"n","side":"s","point":{"workers":32},"unit":"ns","values":[1.5,2],"bytes":24}]}
            """);

        PartResult? result = await Results.ReadAsync("pool");

        Row row = Assert.Single(result!.Rows);
        Assert.Same(row, result.Find("n", "s", ("workers", 32)));
        Assert.Null(result.Find("n", "s", ("workers", 1)));
        Assert.Equal((24, "ns"), (row.Bytes, row.Unit));
    }

    private static PartResult OverHttp(double[] own, double[] best) => new(HttpPart.Name,
    [
        Row(Side.Best, 8, best), Row(Side.CoHosted, 8, own), Row(Side.Best, 64, best), Row(Side.CoHosted, 64, own),
    ])
    {
        Unit = "replies/s",
        Reference = Side.Best,
    };

    private static Row Row(string side, int clients, double[] values) =>
        new(HttpPart.List, side, new Dictionary<string, double> { [HttpPart.Clients] = clients }, values);
}
