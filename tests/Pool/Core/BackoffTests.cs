using UPool.Core;

namespace UPool.Tests.Core;

public sealed class BackoffTests
{
    [Fact]
    public void Next_FailureAfterFailure_DoublesUpToTheMostAndVariesByHalf()
    {
        var min = TimeSpan.FromMilliseconds(50);
        var max = TimeSpan.FromMilliseconds(1000);
        var backoff = new Backoff(min, max);
        HashSet<TimeSpan> longest = [];
        double doubled = 50;
        for (int failure = 0; failure < 100; failure++)
        {
            TimeSpan pause = backoff.Next();
            Assert.InRange(pause.TotalMilliseconds, Math.Max(50, doubled / 2), doubled);
            doubled = Math.Min(doubled * 2, 1000);
            if (failure > 10) longest.Add(pause);
        }

        Assert.True(longest.Count > 50, "the pauses do not vary");
        backoff.Reset();
        Assert.Equal(min, backoff.Next());
    }
}
