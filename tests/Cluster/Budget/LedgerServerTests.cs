using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Tests.Budget;

/// <summary>Time alone frees no permits: only the server's confirmation that sessions are closed does
/// (INV-2).</summary>
public sealed class LedgerServerTests
{
    private readonly LedgerDriver _driver = new(shared: 20);

    [Fact]
    public void Reclaims_LeaseAndGraceOver_PermitsCountUntilTheServerHasSpoken()
    {
        _driver.Settle(("a", 15), ("b", 5));

        // Another silo must write, or no renewal would succeed.
        for (int second = 0; second < 17; second++)
        {
            Assert.Equal(5, _driver.Renew("b", used: 5, pending: 20));
            bool isOver = second >= 13;
            Assert.Equal(isOver ? ["a"] : [], _driver.Ledger.Reclaims(_driver.Now));
        }

        Assert.Equal(LeaseState.Reclaiming, _driver.Lease("a").State);
        Assert.Equal(LeaseWait.Reclaims, _driver.Lease("b").Wait);
        Assert.Equal(["a"], _driver.Ledger.Reclaims(_driver.Now));

        _driver.Ledger.ReportGone("a");
        Assert.Equal(20, _driver.Renew("b", used: 5, pending: 20));
    }

    [Fact]
    public void Apply_WhileItsSessionsAreBeingEnded_IsRefusedAndThenStartsFromNothing()
    {
        _driver.Settle(("a", 15), ("b", 0));
        Expire("a");

        LeaseReply reply = _driver.Write(_driver.Ask("a"))[0];
        Assert.Equal(LeaseStatus.Reclaiming, reply.Status);
        _driver.Take("a", reply);

        _driver.Ledger.ReportGone("a");
        Assert.Equal([10, 10], _driver.Settle(("a", 50), ("b", 50)));
    }

    [Fact]
    public void Reclaims_RenewedWhileItIsWritten_IsLeftAlone()
    {
        _driver.Settle(("a", 15), ("b", 0));
        for (int second = 0; second < 17; second++) _driver.Renew("b");

        LedgerBatch batch = _driver.Ledger.Apply([_driver.Ask("a")], _driver.Now);
        Assert.Empty(_driver.Ledger.Reclaims(_driver.Now));
        _driver.Ledger.Commit(batch, _driver.Now);
        Assert.Empty(_driver.Ledger.Reclaims(_driver.Now));
    }

    [Fact]
    public void ReportGone_OfOneThatIsNotReclaimed_ChangesNothing()
    {
        _driver.Settle(("a", 15));

        _driver.Ledger.ReportGone("a");

        Assert.Equal(20, _driver.Lease("a").Held);
    }

    [Fact]
    public void Reclaims_NothingCouldBeWrittenForLong_LetsTheSilosAskFirst()
    {
        _driver.Settle(("a", 10), ("b", 10));

        // The database is unreachable for a minute: no lease could be renewed and no silo could be queried.
        _driver.Wait(60);
        Assert.Empty(_driver.Ledger.Reclaims(_driver.Now));

        _driver.Renew("b", used: 10);
        Assert.Empty(_driver.Ledger.Reclaims(_driver.Now));
        _driver.Renew("a", used: 10);
        for (int second = 0; second < 5; second++) _driver.Renew("b", used: 10);
        Assert.Empty(_driver.Ledger.Reclaims(_driver.Now));
    }

    [Fact]
    public void Leaving_HandsBackAtOnceWhatIsClosed()
    {
        _driver.Settle(("a", 15), ("b", 5));
        _driver.Holder("a").Leave();

        _driver.Renew("a", used: 4);
        Assert.Equal(16, _driver.Renew("b", used: 5, pending: 50));

        _driver.Renew("a");
        Assert.True(_driver.Holder("a").HasLeft);
        Assert.Equal(20, _driver.Renew("b", used: 16, pending: 50));
    }

    [Fact]
    public void Leaving_ItsPlaceIsFreeOnceItsControlConnectionsAreGone()
    {
        _driver.Settings = _driver.Settings with { MaxSilos = 1 };
        _driver.Settle(("a", 5));
        _driver.Holder("a").Leave();
        _driver.Renew("a");

        _driver.Look(new DeploymentSession(1, "h:1", "a", IsControl: true));
        Assert.Equal(LeaseStatus.TooMany, _driver.Write(_driver.Ask("b"))[0].Status);

        _driver.Look();
        Assert.Equal(LeaseStatus.Granted, _driver.Write(_driver.Ask("b"))[0].Status);
    }

    [Fact]
    public void Observe_SessionThatNobodyRegistered_CountsFromTheSecondLookAndIsEndedAfterLeaseAndGrace()
    {
        var stray = new DeploymentSession(7, "h:7", null, IsControl: false);
        _driver.Settle(("a", 5), ("b", 5));

        Assert.Empty(_driver.Look(stray));
        Assert.Equal(0, _driver.View.Orphans);

        _driver.Wait(1);
        Assert.Empty(_driver.Look(stray));
        Assert.Equal(1, _driver.View.Orphans);
        _driver.Holder("a").Leave();
        _driver.Renew("a");
        Assert.Equal(19, _driver.Renew("b", used: 5, pending: 50));
        Assert.Equal(LeaseWait.Orphans, _driver.Lease("b").Wait);

        _driver.Wait(14);
        Assert.Equal([stray], _driver.Look(stray));
        _driver.Look();
        Assert.Equal(20, _driver.Renew("b", used: 19, pending: 50));
    }

    [Fact]
    public void Observe_SameIdAfterARestart_IsAnotherSession()
    {
        _driver.Look(new DeploymentSession(7, "h:7", null, IsControl: false));
        _driver.Wait(20);

        Assert.Empty(_driver.Look(new DeploymentSession(7, "h:8", null, IsControl: false)));
    }

    [Fact]
    public void Observe_SessionOfAnIncarnationThatIsNotRecorded_CountsAtOnce()
    {
        _driver.Look(
            new DeploymentSession(7, "h:7", "lost", IsControl: false),
            new DeploymentSession(8, "h:8", "client", IsControl: true));

        Assert.Equal(1, _driver.View.Orphans);
        Assert.Equal([19], _driver.Settle(("a", 50)));
    }

    [Fact]
    public void Observe_MoreThanASilentSiloHolds_CountsUntilItRenews()
    {
        _driver.Settle(("a", 10), ("b", 10));
        DeploymentSession[] sessions = [.. Enumerable.Range(1, 13).Select(
            static id => new DeploymentSession(id, $"h:{id}", "a", IsControl: false))];
        Assert.Equal(10, _driver.Lease("a").Held);

        // The server lost the write that granted these permits.
        _driver.Wait(0.1);
        _driver.Look(sessions);
        _driver.Holder("c", ceiling: 100);
        _driver.Holder("b").Leave();
        _driver.Renew("b");
        Assert.Equal(7, _driver.Renew("c", pending: 50));

        // The silo's own figures are newer than the look.
        _driver.Renew("a", idle: 10);
        Assert.Equal(10, _driver.Renew("c", used: 7, pending: 50));
    }

    private void Expire(string silo)
    {
        for (int second = 0; second < 17; second++) _driver.Renew("b");
        Assert.Equal([silo], _driver.Ledger.Reclaims(_driver.Now));
    }
}
