namespace UPool.Bench.Runner.Statistics;

/// <summary>The figures of a number of rounds, by their middle and their spread: a few slow rounds of a shared machine
/// move neither much.</summary>
internal static class Sample
{
    /// <summary>The middle value.</summary>
    public static double Median(IReadOnlyList<double> values) => Quantile(values, 0.5);

    /// <summary>The value below which a share of the values lies, straight between the two next to it.</summary>
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
