using UPool.Management;

namespace UPool.Api.Tests.Management;

/// <summary>Which limit a process has reached, judged from its samples.</summary>
public sealed class LimitJudgeTests
{
    private static readonly LimitSample Well = new(
        CpuShare: 0.3, IsWaiting: false, HasProblem: false, Use: TimeSpan.FromMilliseconds(2), Permits: 10,
        MaxConnections: 10);

    [Fact]
    public void Judge_NobodyWaits_IsNoneHoweverSlowTheStatements()
    {
        var judge = new LimitJudge();

        Assert.Equal(Limit.None, judge.Judge(Well));
        Assert.Equal(Limit.None, judge.Judge(Well with { Use = TimeSpan.FromSeconds(1) }));
    }

    [Fact]
    public void Judge_ProcessorsBusy_IsCpuWhetherAnybodyWaitsOrNot()
    {
        var judge = new LimitJudge();

        Assert.Equal(Limit.Cpu, judge.Judge(Well with { CpuShare = 0.9 }));
        Assert.Equal(Limit.Cpu, judge.Judge(Well with { CpuShare = 0.9, IsWaiting = true, Permits = 3 }));
        Assert.Equal(
            Limit.Cpu, judge.Judge(Well with { CpuShare = 0.8, IsWaiting = true, Use = TimeSpan.FromSeconds(1) }));
    }

    [Theory]
    [InlineData(10, "Connections")]
    [InlineData(7, "Budget")]
    [InlineData(0, "Budget")]
    public void Judge_WaitingWhileStatementsTakeWhatTheyTook_IsTheConnections(int permits, string expected)
    {
        var judge = new LimitJudge();
        judge.Judge(Well);

        Assert.Equal(
            expected,
            judge.Judge(Well with { IsWaiting = true, Permits = permits, Use = TimeSpan.FromMilliseconds(5) })
                .ToString());
    }

    [Fact]
    public void Judge_WaitingWhileStatementsBecameSlow_IsTheDatabaseUntilTheyAreFastAgain()
    {
        var judge = new LimitJudge();
        judge.Judge(Well);
        LimitSample slow = Well with { IsWaiting = true, Permits = 7, Use = TimeSpan.FromMilliseconds(7) };

        Assert.Equal(Limit.Database, judge.Judge(slow));
        Assert.Equal(Limit.Database, judge.Judge(slow));
        Assert.Equal(Limit.Budget, judge.Judge(slow with { Use = TimeSpan.FromMilliseconds(2) }));
    }

    [Fact]
    public void Judge_SlowForHours_IsTheMeasureOfToday()
    {
        var judge = new LimitJudge();
        judge.Judge(Well);
        LimitSample slow = Well with { IsWaiting = true, Use = TimeSpan.FromMilliseconds(20) };
        Limit[] judged = [.. Enumerable.Range(0, 4000).Select(_ => judge.Judge(slow))];

        // 720 samples are one hour, half of the memory. After 1.8 hours the baseline has risen from 2 ms to 7 ms.
        Assert.Equal(Limit.Database, judged[720]);
        Assert.Equal(Limit.Connections, judged[^1]);
    }

    [Fact]
    public void Judge_DatabaseAway_IsTheDatabaseAboveAll() =>
        Assert.Equal(
            Limit.Database, new LimitJudge().Judge(Well with { HasProblem = true, CpuShare = 1, IsWaiting = true }));

    [Fact]
    public void Judge_NothingRanYet_IsTheConnections() =>
        Assert.Equal(
            Limit.Connections, new LimitJudge().Judge(Well with { IsWaiting = true, Use = TimeSpan.Zero }));
}
