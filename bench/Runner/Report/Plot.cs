using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Statistics;

namespace UPool.Bench.Runner.Report;

/// <summary>Draws curves as SVG: the median of each side at each point, in a band of half of the rounds.</summary>
internal static class Plot
{
    private const double Width = 720;
    private const double Height = 400;
    private const double Room = 24;

    // Above this, small values on a linear axis cannot be told from zero.
    private const double MaxLinearSpan = 20;

    // Distinguishable without seeing red and green (Okabe and Ito).
    private static readonly OxyColor[] Colors =
    [
        OxyColor.FromRgb(0x00, 0x72, 0xB2), OxyColor.FromRgb(0xD5, 0x5E, 0x00), OxyColor.FromRgb(0x00, 0x9E, 0x73),
        OxyColor.FromRgb(0xCC, 0x79, 0xA7), OxyColor.FromRgb(0xE6, 0x9F, 0x00), OxyColor.FromRgb(0x56, 0xB4, 0xE9),
        OxyColor.FromRgb(0x00, 0x00, 0x00),
    ];

    /// <summary>Draws rows of one name over their one axis.</summary>
    /// <param name="unit">The unit of the figures.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="figureOf">Selects the figures of a row.</param>
    /// <returns>The picture; null if the rows do not differ along exactly one axis.</returns>
    public static string? Svg(string unit, IReadOnlyList<Row> rows, Func<Row, IReadOnlyList<double>?> figureOf)
    {
        string[] axes = [.. rows.SelectMany(static row => row.Point.Keys).Distinct()];
        if (axes.Length != 1 || rows.Select(row => row.Point[axes[0]]).Distinct().Count() < 2) return null;

        var points =
            (from row in rows
             let values = figureOf(row)
             where values is not null
             select (row.Side, At: row.Point[axes[0]], Middle: Sample.Median(values),
                 Low: Sample.Quantile(values, 0.25), High: Sample.Quantile(values, 0.75))).ToList();
        if (points.Count == 0) return null;

        // OxyPlot has the widths of this font built in. A replacement for a missing font may be wider: hence the room
        // below.
        var model = new PlotModel { Background = OxyColors.White, DefaultFont = "Arial" };
        model.Legends.Add(new Legend
        {
            LegendPlacement = LegendPlacement.Outside,
            LegendPosition = LegendPosition.BottomCenter,
            LegendOrientation = LegendOrientation.Horizontal,
            LegendItemSpacing = Room,
            LegendPadding = Room,
        });
        double[] places = [.. points.Select(static point => point.At).Distinct().Order()];
        model.Axes.Add(PlaceAxis(axes[0], places));
        model.Axes.Add(ValueAxis(unit, [.. points.Select(static point => point.Middle)]));

        int color = 0;
        foreach (var side in points.GroupBy(static point => point.Side))
        {
            OxyColor own = Colors[color++ % Colors.Length];
            var line = new LineSeries
            {
                Title = side.Key,
                Color = own,
                MarkerType = MarkerType.Circle,
                MarkerFill = own,
            };
            var band = new AreaSeries { Color = OxyColors.Transparent, Fill = OxyColor.FromAColor(0x30, own) };
            foreach (var point in side.OrderBy(static point => point.At))
            {
                int place = Array.IndexOf(places, point.At);
                line.Points.Add(new DataPoint(place, point.Middle));
                band.Points.Add(new DataPoint(place, point.High));
                band.Points2.Add(new DataPoint(place, point.Low));
            }

            model.Series.Add(band);
            model.Series.Add(line);
        }

        return new SvgExporter { Width = Width, Height = Height, UseVerticalTextAlignmentWorkaround = true }
            .ExportToString(model);
    }

    // Points at equal distances: they grow by factors, and a linear axis would crowd them.
    private static LinearAxis PlaceAxis(string title, double[] places) => new()
    {
        Position = AxisPosition.Bottom,
        Title = title,
        AxisTitleDistance = Room / 4,
        Minimum = -0.2,
        Maximum = places.Length - 0.8,
        MajorStep = 1,
        MinorTickSize = 0,
        MajorGridlineStyle = LineStyle.Dot,
        LabelFormatter = place => place % 1 == 0 && place >= 0 && place < places.Length
            ? Figures.Text(places[(int)place])
            : "",
    };

    private static Axis ValueAxis(string unit, double[] values)
    {
        bool isWide = values.Min() > 0 && values.Max() / values.Min() > MaxLinearSpan;
        Axis axis = isWide ? new LogarithmicAxis() : new LinearAxis { Minimum = 0, MaximumPadding = 0.1 };
        axis.Position = AxisPosition.Left;
        axis.Title = unit;
        axis.AxisTitleDistance = Room / 2;
        axis.MajorGridlineStyle = LineStyle.Dot;
        return axis;
    }
}
