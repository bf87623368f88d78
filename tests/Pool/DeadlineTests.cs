using Microsoft.Extensions.Time.Testing;

namespace UPool.Tests;

public sealed class DeadlineTests
{
    [Fact]
    public void Remaining_ClockAdvances_ShrinksToZero()
    {
        var clock = new FakeTimeProvider();
        var deadline = Deadline.After(TimeSpan.FromSeconds(2), clock);

        clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal(TimeSpan.FromSeconds(1.5), deadline.Remaining(clock));
        Assert.False(deadline.HasPassed(clock));

        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(TimeSpan.Zero, deadline.Remaining(clock));
        Assert.True(deadline.HasPassed(clock));
    }
}
