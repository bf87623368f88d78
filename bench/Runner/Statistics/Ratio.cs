namespace UPool.Bench.Runner.Statistics;

/// <summary>A ratio of two medians of one run, with the interval of 95 % of its resamples.</summary>
/// <param name="Value">The ratio.</param>
/// <param name="Lower">The lower bound.</param>
/// <param name="Upper">The upper bound.</param>
internal readonly record struct Ratio(double Value, double Lower, double Upper)
{
    // Enough for two stable digits of a bound.
    private const int Resamples = 10_000;

    // Fixed, so that the same figures give the same interval.
    private const int Seed = 1;

    /// <summary>
    /// Compares two sides round by round: a round of both was measured in the same minute, so rounds are resampled in
    /// pairs, and a slowdown of both cancels out. (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13:
    /// the percentile interval.)
    /// </summary>
    /// <exception cref="ArgumentException">The sides have different numbers of rounds.</exception>
    public static Ratio Of(IReadOnlyList<double> side, IReadOnlyList<double> against)
    {
        if (side.Count != against.Count)
            throw new ArgumentException($"{side.Count} rounds cannot pair with {against.Count}.", nameof(against));

        var random = new Random(Seed);
        var ratios = new double[Resamples];
        var drawnSide = new double[side.Count];
        var drawnAgainst = new double[side.Count];
        for (int resample = 0; resample < Resamples; resample++)
        {
            for (int draw = 0; draw < side.Count; draw++)
            {
                int round = random.Next(side.Count);
                drawnSide[draw] = side[round];
                drawnAgainst[draw] = against[round];
            }

            ratios[resample] = Sample.Median(drawnSide) / Sample.Median(drawnAgainst);
        }

        Array.Sort(ratios);
        return new Ratio(
            Sample.Median(side) / Sample.Median(against),
            ratios[(int)(0.025 * (Resamples - 1))],
            ratios[(int)(0.975 * (Resamples - 1))]);
    }
}
