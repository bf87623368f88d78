using UPool.Bench.Runner.Statistics;

namespace UPool.Bench.Tests;

/// <summary>Medians, spreads and ratios.</summary>
public sealed class StatisticsTests
{
    [Fact]
    public void Median_EvenNumberOfValues_LiesBetweenTheTwoInTheMiddle() =>
        Assert.Equal(2.5, Sample.Median([4, 1, 3, 2]));

    [Fact]
    public void Quantile_BetweenTwoValues_LiesStraightBetweenThem() =>
        Assert.Equal(1.75, Sample.Quantile([1, 2, 3, 4], 0.25));

    [Fact]
    public void Quantile_NoValues_Throws() => Assert.Throws<ArgumentException>(() => Sample.Quantile([], 0.5));

    [Fact]
    public void Of_RoundsThatSlowBothSides_CancelOut()
    {
        double[] against = [100, 10, 50, 100, 20, 100, 30, 90, 100, 60];

        Ratio ratio = Ratio.Of([.. against.Select(static value => 3 * value)], against);

        Assert.Equal((3, 3, 3), (ratio.Value, Math.Round(ratio.Lower, 9), Math.Round(ratio.Upper, 9)));
    }

    [Fact]
    public void Of_NoisyRounds_IntervalHoldsTheRatioAndTellsTheNoise()
    {
        Ratio ratio = Ratio.Of([100, 120, 80, 110, 90, 105, 95], [50, 50, 50, 50, 50, 50, 50]);

        Assert.Equal(2, ratio.Value);
        Assert.InRange(ratio.Lower, 1.6, 1.99);
        Assert.InRange(ratio.Upper, 2.01, 2.4);
    }

    [Fact]
    public void Of_DifferentNumbersOfRounds_Throws() =>
        Assert.Throws<ArgumentException>(() => Ratio.Of([1, 2], [1]));
}
