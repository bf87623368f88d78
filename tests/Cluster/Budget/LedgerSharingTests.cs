using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget;

/// <summary>How many permits each silo gets, and when it may grow.</summary>
public sealed class LedgerSharingTests
{
    private readonly LedgerDriver _driver = new(shared: 20);

    [Fact]
    public void Apply_OneSilo_GetsAllUpToItsCeiling()
    {
        _driver.Holder("a", ceiling: 8);
        _driver.Holder("b", ceiling: 100);

        Assert.Equal([8], _driver.Settle(("a", 0)));
        Assert.Equal([8, 12], _driver.Settle(("a", 0), ("b", 0)));
    }

    [Fact]
    public void Apply_Newcomer_GetsNothingBeforeAShrinkIsAcknowledged()
    {
        Assert.Equal(20, _driver.Renew("a", idle: 20));
        Assert.Equal(0, _driver.Renew("b", pending: 5));

        // Told to shrink; until the silo acknowledges, the other one waits.
        Assert.Equal(15, _driver.Renew("a", idle: 20));
        Assert.Equal(LeaseState.Shrinking, _driver.Lease("a").State);
        Assert.Equal(0, _driver.Renew("b", pending: 5));
        Assert.Equal(LeaseWait.Shrinks, _driver.Lease("b").Wait);

        Assert.Equal(15, _driver.Renew("a", idle: 15));
        Assert.Equal(5, _driver.Renew("b", pending: 5));
    }

    [Fact]
    public void Apply_ShrinkAcknowledgedInPart_FreesThatPart()
    {
        _driver.Renew("a", used: 20);
        _driver.Renew("b", pending: 20);
        Assert.Equal(10, _driver.Renew("a", used: 20));

        // Seventeen sessions are still open; none beyond ten will be opened.
        _driver.Renew("a", used: 17);

        Assert.Equal(3, _driver.Renew("b", pending: 20));
    }

    [Fact]
    public void Apply_ShrinkNotApplied_AcknowledgesNothing()
    {
        _driver.Renew("a", idle: 20);
        _driver.Renew("b", pending: 5);

        // The reply with the shrink is lost: the silo still holds its old permits, whatever it has open now.
        _driver.Write(_driver.Ask("a", idle: 20));
        _driver.Write(_driver.Ask("a", idle: 3));

        Assert.Equal(0, _driver.Renew("b", pending: 5));
    }

    [Fact]
    public void Apply_PermitComesFree_GoesToTheSiloBelowItsFloorWhoeverAsksFirst()
    {
        Assert.Equal([10, 10], _driver.Settle(("a", 50), ("b", 50)));
        Assert.Equal(0, _driver.Renew("newcomer"));
        Assert.Equal(10, _driver.Renew("a", used: 10, pending: 40));
        Assert.Equal(9, _driver.Renew("b", used: 10, pending: 40));

        // The first silo needs less now; the permit that the other just returned would fit its share again.
        Assert.Equal(3, _driver.Renew("a", used: 3, idle: 7));
        Assert.Equal(9, _driver.Renew("b", used: 9, pending: 41));

        Assert.Equal(1, _driver.Renew("newcomer"));
    }

    [Fact]
    public void Apply_DifferentDemands_AreServedMaxMinFair()
    {
        Assert.Equal([2, 9, 9], _driver.Settle(("a", 2), ("b", 50), ("c", 50)));
        Assert.Equal([1, 15, 4], _driver.Settle(("a", 0), ("b", 50), ("c", 4)));
    }

    [Fact]
    public void Apply_DifferentWeights_AreServedInProportion()
    {
        _driver.Holder("b", weight: 3);

        Assert.Equal([5, 15], _driver.Settle(("a", 50), ("b", 50)));
    }

    [Fact]
    public void Apply_NobodyWants_IdlePermitsDoNotMove()
    {
        Assert.Equal([20], _driver.Settle(("a", 18)));
        Assert.Equal([18, 2], _driver.Settle(("a", 18), ("b", 2)));

        // The first silo's unneeded permits would be shared evenly if another silo needed them.
        Assert.Equal([18, 2], _driver.Settle(("a", 0), ("b", 2)));
        Assert.Equal([17, 3], _driver.Settle(("a", 0), ("b", 3)));
    }

    [Fact]
    public void Apply_OddPermitBetweenTwoWhoSaturate_StaysWhereItIs()
    {
        var driver = new LedgerDriver(shared: 21);
        driver.Settle(("b", 50));
        int[] before = driver.Settle(("a", 50), ("b", 50));

        Assert.Equal([10, 11], before);
        for (int again = 0; again < 5; again++) Assert.Equal(before, driver.Settle(("a", 50), ("b", 50)));
    }

    [Fact]
    public void Apply_MomentWithoutLoad_MovesNothing()
    {
        _driver.Settle(("a", 50), ("b", 50));
        LeaseReply reply = _driver.Write(_driver.Ask("a", used: 10, pending: 40))[0];
        _driver.Take("a", reply);

        _driver.Wait(0.1);
        reply = _driver.Write(_driver.Ask("a"))[0];
        Assert.Equal(10, reply.Permits);

        _driver.Take("a", reply);
        _driver.Wait(1);
        Assert.Equal(10, _driver.Write(_driver.Ask("b", used: 10, pending: 40))[0].Permits);
        Assert.Equal(1, _driver.Write(_driver.Ask("a"))[0].Permits);
    }

    [Fact]
    public void Apply_LongStatementsBeyondAShrink_AreNotPlannedWith()
    {
        _driver.Settle(("a", 18));
        _driver.Settle(("b", 1), ("a", 18));
        _driver.Renew("a", used: 18);
        _driver.Renew("b", used: 1, pending: 10);
        _driver.Renew("a", used: 18);
        Assert.Equal(10, _driver.Holder("a").Terms.Permits);

        // All of its eighteen run long statements; silos with idle permits must give them instead.
        _driver.Renew("a", used: 18);
        Assert.Equal(18, _driver.Lease("a").Held);
        _driver.Renew("b", used: 2, pending: 10);
        Assert.Equal(2, _driver.Lease("b").Permits);
        Assert.Equal(LeaseWait.FairShare, _driver.Lease("b").Wait);
    }

    [Fact]
    public void Apply_MoreSilosThanPermits_SharesTheFloorsAsFarAsTheyGo()
    {
        var driver = new LedgerDriver(shared: 2);

        Assert.Equal(2, driver.Settle(("a", 5), ("b", 5), ("c", 5)).Sum());
    }

    [Fact]
    public void Apply_SettingsDiffer_TheLeastHoldsUntilItsSiloIsGone()
    {
        _driver.Settle(("a", 50));
        _driver.Holder("b").Settings = LedgerDriver.WithShared(10);
        Assert.Equal([5, 5], _driver.Settle(("a", 50), ("b", 50)));
        Assert.True(_driver.View.IsMismatched);
        Assert.Equal(10, _driver.View.Held);

        _driver.Holder("b").Leave();
        _driver.Renew("b");
        _driver.Look();

        Assert.Equal([20], _driver.Settle(("a", 50)));
        Assert.False(_driver.View.IsMismatched);
    }

    [Fact]
    public void Apply_NumberFalls_EverybodyShrinks()
    {
        Assert.Equal([19, 1], _driver.Settle(("a", 50), ("b", 0)));
        _driver.Holder("a").Settings = _driver.Holder("b").Settings = LedgerDriver.WithShared(12);

        Assert.Equal([11, 1], _driver.Settle(("a", 50), ("b", 0)));
    }
}
