using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>The permits of a lease at each time, and the effects of its end and of its grace's end.</summary>
public sealed class LeaseGateTests : IDisposable
{
    private readonly JumpingClock _clock = new();
    private readonly ITimer _timer;
    private readonly LeaseGate _gate;
    private int _fired;

    public LeaseGateTests()
    {
        _timer = _clock.CreateTimer(_ => _fired++, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _gate = new LeaseGate(_clock) { Timer = _timer };
    }

    public void Dispose() => _timer.Dispose();

    [Fact]
    public void PermitsOf_NoLeaseIsNeeded_IsTheMost()
    {
        var open = new LeaseGate(_clock);
        Assert.False(open.IsNeeded);
        Assert.Equal(7, open.PermitsOf(7));
        Assert.Null(open.Problem);
        Assert.False(open.IsOfEndedLease(0));
        Assert.Equal(long.MaxValue, open.DueAt);
    }

    [Theory]
    [InlineData(2, 7, 2)]
    [InlineData(9, 7, 7)]
    [InlineData(0, 7, 0)]
    public void PermitsOf_LeaseInForce_IsTheSmaller(int granted, int most, int permits)
    {
        Assert.Equal(0, _gate.PermitsOf(most));
        Set(granted);
        Assert.Equal(permits, _gate.PermitsOf(most));
    }

    [Fact]
    public void Problem_EachState_HasItsWords()
    {
        Assert.Equal("It has no lease of permits.", _gate.Problem);
        Set(0);
        Assert.Equal("Its lease grants no permits at present.", _gate.Problem);
        Set(1);
        Assert.Null(_gate.Problem);
        _clock.Jump(TimeSpan.FromSeconds(10));
        _gate.Notice(Now, newGeneration: 1);
        Assert.Equal("The lease of its permits has ended and was not renewed.", _gate.Problem);
        _gate.Set(null, Now, newGeneration: 2);
        Assert.Equal("It has no lease of permits.", _gate.Problem);
    }

    [Fact]
    public void Notice_LeaseAndThenGraceEnd_EachIsToldOnce()
    {
        Set(2);
        _clock.Jump(TimeSpan.FromSeconds(10));
        Assert.Equal(LeaseEnds.Lease, _gate.Notice(Now, newGeneration: 1));
        Assert.False(_gate.IsInForce);
        Assert.True(_gate.IsOfEndedLease(0) && !_gate.IsOfEndedLease(1));
        Assert.Equal(LeaseEnds.None, _gate.Notice(Now, newGeneration: 2));
        _clock.Jump(TimeSpan.FromSeconds(5));
        Assert.Equal(LeaseEnds.Grace, _gate.Notice(Now, newGeneration: 2));
        Assert.Equal(long.MaxValue, _gate.DueAt);
        Assert.Equal(LeaseEnds.None, _gate.Notice(Now, newGeneration: 2));
    }

    [Fact]
    public void Notice_StoppedBeyondBoth_TellsBoth()
    {
        Set(2);
        _clock.Jump(TimeSpan.FromMinutes(1));
        Assert.Equal(LeaseEnds.Lease | LeaseEnds.Grace, _gate.Notice(Now, newGeneration: 1));
    }

    [Fact]
    public void Set_Renewed_GoesOnWithoutAnEnd()
    {
        Set(2);
        _clock.Jump(TimeSpan.FromSeconds(9));
        Assert.Equal(LeaseEnds.None, Set(3));
        _clock.Jump(TimeSpan.FromSeconds(9));
        Assert.Equal(LeaseEnds.None, _gate.Notice(Now, newGeneration: 1));
        Assert.False(_gate.IsOfEndedLease(0));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Set_TakenAwayOrEndedAlready_EndsThePresentOne(bool isTakenAway)
    {
        Set(2);
        PoolLease? lease = isTakenAway ? null : new PoolLease(2, 2, Now, Now);
        Assert.Equal(LeaseEnds.Lease, _gate.Set(lease, Now, newGeneration: 1));
        Assert.Equal((false, 0), (_gate.IsInForce, _gate.PermitsOf(7)));
        Assert.True(_gate.IsOfEndedLease(0));

        // The shorter grace applies.
        Assert.Equal(isTakenAway ? Now + Ticks(15) : Now, _gate.DueAt);
    }

    [Fact]
    public void Set_InTheGrace_GraceIsOver()
    {
        Set(2);
        _clock.Jump(TimeSpan.FromSeconds(12));
        _gate.Notice(Now, newGeneration: 1);
        Set(2);
        _clock.Jump(TimeSpan.FromSeconds(6));
        Assert.Equal(LeaseEnds.None, _gate.Notice(Now, newGeneration: 2));
        Assert.True(_gate.IsOfEndedLease(0));
    }

    [Fact]
    public void TryWantPermits_Repeated_SaysSoOnceForEachLease()
    {
        Assert.True(_gate.TryWantPermits());
        Assert.False(_gate.TryWantPermits());
        Set(1);
        Assert.True(_gate.TryWantPermits());
        Assert.False(_gate.TryWantPermits());
    }

    [Fact]
    public void Timer_Set_FiresAtTheEndAndAgainAtTheGracesEnd()
    {
        Set(1);
        _clock.Advance(TimeSpan.FromMilliseconds(9_999));
        Assert.Equal(0, _fired);
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, _fired);
        _gate.Notice(Now, newGeneration: 1);
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(2, _fired);
    }

    private long Now => _clock.GetTimestamp();

    private LeaseEnds Set(int permits) =>
        _gate.Set(new PoolLease(permits, 1, Now + Ticks(10), Now + Ticks(15)), Now, newGeneration: 100);

    private long Ticks(double seconds) => (long)(seconds * _clock.TimestampFrequency);
}
