using System.Text;

using UPool.Bench.Runner.Growth;
using UPool.Bench.Runner.Http;
using UPool.Bench.Runner.Overload;
using UPool.Bench.Runner.Pool;
using UPool.Bench.Runner.Results;

namespace UPool.Bench.Runner.Report;

/// <summary>Writes the newest results between the two marks of a document, and the plots into a folder of the same name
/// beside it. The text outside the marks is written by hand.</summary>
/// <param name="path">The document.</param>
internal sealed class Document(string path)
{
    private const string Begin = "<!-- measured -->";
    private const string End = "<!-- /measured -->";

    // Drawn in addition to the figures themselves.
    private static readonly string[] AlsoDrawn = ["p99 ms", OverloadPart.ServedP99, OverloadPart.RefusedP99];

    private static readonly (string Part, string Title)[] Chapters =
    [
        (HttpPart.Name, "Over HTTP"), (PoolPart.Name, "The pool alone"), (OverloadPart.Name, "Overload"),
        (GrowthPart.Name, "Growth"),
    ];

    private string Folder => Path.ChangeExtension(path, null);

    /// <summary>Writes the existing results.</summary>
    /// <returns>The bars.</returns>
    /// <exception cref="InvalidDataException">The document lacks a mark.</exception>
    public async Task<IReadOnlyList<Bar>> WriteAsync(ResultFolder results)
    {
        string text = await File.ReadAllTextAsync(path);
        int begin = text.IndexOf(Begin, StringComparison.Ordinal);
        int end = text.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin) throw new InvalidDataException($"{path} must have {Begin} and {End}.");

        var parts = new Dictionary<string, PartResult>();
        foreach ((string part, _) in Chapters)
        {
            if (await results.ReadAsync(part) is { } result) parts[part] = result;
        }

        IReadOnlyList<Bar> bars = new Bars(parts).All();
        var measured = new StringBuilder($"{Begin}\n## The bars\n\n").Append(Tables.Of(bars));
        if (Directory.Exists(Folder)) Directory.Delete(Folder, recursive: true);
        foreach ((string part, string title) in Chapters)
        {
            measured.Append($"\n## {title}\n\n");
            if (parts.TryGetValue(part, out PartResult? result)) await AppendAsync(measured, result);
            else measured.Append($"Not measured yet: `./bench.sh {part}`.\n");
        }

        await File.WriteAllTextAsync(path, $"{text[..begin]}{measured}{text[end..]}");
        return bars;
    }

    private async Task AppendAsync(StringBuilder measured, PartResult result)
    {
        if (result.Run is { } run) measured.Append(Tables.Of(run)).Append('\n');
        foreach (var name in result.Rows.GroupBy(static row => row.Name))
        {
            Row[] rows = [.. name.OrderBy(static row => row.Point.Values.First())];
            measured.Append($"\n### {name.Key}\n\n").Append(Tables.Of(result, rows));
            string unit = rows[0].Unit ?? result.Unit ?? "";
            await DrawAsync(measured, name.Key, Plot.Svg(unit, rows, static row => row.Values));
            foreach (string also in AlsoDrawn)
            {
                string title = $"{name.Key}: {also}";
                await DrawAsync(measured, title, Plot.Svg(also, rows, row => row.Also?.GetValueOrDefault(also)));
            }
        }
    }

    private async Task DrawAsync(StringBuilder measured, string title, string? svg)
    {
        if (svg is null) return;

        Directory.CreateDirectory(Folder);
        string file = $"{Tables.Slug(title)}.svg";
        await File.WriteAllTextAsync(Path.Combine(Folder, file), svg);
        measured.Append($"\n![{title}]({Path.GetFileName(Folder)}/{file})\n");
    }
}
