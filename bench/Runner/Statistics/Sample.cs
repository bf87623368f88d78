namespace UPool.Bench.Runner.Statistics;

/// <summary>Median and quantiles of a number of rounds: a few slow rounds of a shared machine hardly move
/// them.</summary>
internal static class Sample
{
    /// <summary>The median.</summary>
    public static double Median(IReadOnlyList<double> values) => Quantile(values, 0.5);

    /// <summary>The value below which a share of the values lies, interpolated linearly.</summary>
    /// <exception cref="ArgumentException">There are no values.</exception>
    public static double Quantile(IReadOnlyList<double> values, double share)
    {
        if (values.Count == 0) throw new ArgumentException("There are no values.", nameof(values));

        double[] sorted = [.. values.Order()];
        double at = share * (sorted.Length - 1);
        int below = (int)at;
        int above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((at - below) * (sorted[above] - sorted[below]));
    }
}
