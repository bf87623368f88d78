using System.Globalization;
using System.Text;

using UPool.Bench.Runner.Http;
using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Statistics;

namespace UPool.Bench.Runner.Report;

/// <summary>Formats results as tables that are readable both as Markdown and on a terminal.</summary>
internal static class Tables
{
    /// <summary>The table of the bars.</summary>
    public static string Of(IReadOnlyList<Bar> bars) => Table(
        ["What", "Bar", "Measured", "Met"],
        bars.Select(static bar => (string[])
            [bar.What, bar.Limit, bar.Figure, bar.IsMet switch { true => "yes", false => "**no**", null => "" }]));

    /// <summary>The table of all rows of one name.</summary>
    public static string Of(PartResult part, IReadOnlyList<Row> rows)
    {
        string[] axes = [.. rows.SelectMany(static row => row.Point.Keys).Distinct()];
        string[] also = [.. rows.SelectMany(static row => row.Also?.Keys ?? []).Distinct()];
        bool hasBytes = rows.Any(static row => row.Bytes is not null);
        bool hasReference = part.Reference is not null && rows.Any(row => row.Side == part.Reference);
        var head = new List<string>([.. axes, "side", rows[0].Unit ?? part.Unit ?? "", "half of the rounds"]);
        if (hasReference) head.Add($"against {part.Reference}");
        if (hasBytes) head.Add("B an operation");
        head.AddRange(also.Select(static name => name == HttpPart.Other ? $"{name}, most" : name));

        return Table([.. head], rows.Select(row =>
        {
            var cells = new List<string>(axes.Select(axis =>
                row.Point.TryGetValue(axis, out double at) ? Figures.Text(at) : ""));
            cells.Add(row.Side);
            cells.Add(Figures.Text(Sample.Median(row.Values)));
            cells.Add($"{Figures.Text(Sample.Quantile(row.Values, 0.25))} to "
                + Figures.Text(Sample.Quantile(row.Values, 0.75)));
            if (hasReference) cells.Add(Against(part, row));
            if (hasBytes) cells.Add(row.Bytes is { } bytes ? Figures.Text(bytes) : "");
            cells.AddRange(also.Select(name => Also(row, name)));
            return cells.ToArray();
        }));
    }

    /// <summary>A name as part of a file name.</summary>
    public static string Slug(string name) => string.Join(
        '-', new string([.. name.ToLowerInvariant().Select(static c => char.IsAsciiLetterOrDigit(c) ? c : ' ')])
            .Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>The facts of a run in one line.</summary>
    public static string Of(RunFacts facts) => string.Create(
        CultureInfo.InvariantCulture,
        $"Commit {facts.Commit}, {facts.Date:yyyy-MM-dd HH:mm} UTC, {facts.Cores} processors ({facts.Processor}), "
        + $"{facts.MemoryGb:0} GB, {facts.System}; load {facts.Load:0.0} before it; {facts.Rounds} rounds of "
        + $"{facts.Seconds:0.##} s.");

    private static string Against(PartResult part, Row row)
    {
        if (row.Side == part.Reference) return "";

        Row? reference = part.Find(
            row.Name, part.Reference!, [.. row.Point.Select(static axis => (axis.Key, axis.Value))]);
        return reference is null ? "" : Figures.Text(Ratio.Of(row.Values, reference.Values));
    }

    // The maximum of lost replies, so that a single one in ten rounds shows; the median of times.
    private static string Also(Row row, string name) =>
        row.Also is null || !row.Also.TryGetValue(name, out IReadOnlyList<double>? values) ? ""
        : Figures.Text(name == HttpPart.Other ? values.Max() : Sample.Median(values));

    // Aligned for a terminal; Markdown ignores the padding.
    private static string Table(string[] head, IEnumerable<string[]> rows)
    {
        string[][] all = [head, .. rows];
        int[] widths = [.. head.Select((_, column) => all.Max(row => row[column].Length))];
        var text = new StringBuilder();
        for (int index = 0; index < all.Length; index++)
        {
            Append(all[index]);
            if (index == 0) Append([.. widths.Select(static width => new string('-', width))]);
        }

        return text.ToString();

        void Append(string[] cells) => text.Append("| ")
            .AppendJoin(" | ", cells.Select((cell, column) => cell.PadRight(widths[column]))).Append(" |\n");
    }
}
