using System.Globalization;

using UPool.Bench.Runner.Statistics;

namespace UPool.Bench.Runner.Report;

/// <summary>Formats figures with a sensible number of digits.</summary>
internal static class Figures
{
    /// <summary>At least three digits; no decimals from 100 on.</summary>
    public static string Text(double value) => value.ToString(
        Math.Abs(value) switch
        {
            >= 100 => "N0",
            >= 10 => "0.#",
            _ => "0.##",
        },
        CultureInfo.InvariantCulture);

    /// <summary>A ratio with its interval.</summary>
    public static string Text(Ratio ratio) => string.Create(
        CultureInfo.InvariantCulture, $"{ratio.Value:0.00} ({ratio.Lower:0.00} to {ratio.Upper:0.00})");
}
