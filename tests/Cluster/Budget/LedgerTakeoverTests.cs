using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Tests.Budget;

/// <summary>Ignored requests, failed writes, and take-overs by another coordinator.</summary>
public sealed class LedgerTakeoverTests
{
    private readonly LedgerDriver _driver = new(shared: 20);

    [Fact]
    public void Apply_RequestThatIsNotTheNewest_IsStale()
    {
        LeaseRequest first = _driver.Ask("a");
        LeaseRequest second = _driver.Ask("a");

        Assert.Equal(
            [LeaseStatus.Stale, LeaseStatus.Granted],
            _driver.Write(first, second).Select(static reply => reply.Status));
        Assert.Equal(
            [LeaseStatus.Stale, LeaseStatus.Stale],
            _driver.Write(second, first).Select(static reply => reply.Status));
    }

    [Fact]
    public void Apply_SameGrantNumberWithOtherPermits_AcknowledgesNothing()
    {
        _driver.Settle(("a", 5), ("b", 5));
        LeaseRequest request = _driver.Ask("a");

        // After lost writes, two grants may have the same number.
        _driver.Write(request with { Permits = 15 });

        Assert.Equal(15, _driver.Lease("a").Held);
    }

    [Fact]
    public void Apply_RequestThatCannotBe_IsInvalid()
    {
        LeaseRequest request = _driver.Ask("a");

        Assert.All(
            _driver.Write(
                request with { Incarnation = "" },
                request with { Incarnation = new string('a', LeaseRequest.MaxIncarnationLength + 1) },
                request with { Sequence = 0 },
                request with { Weight = 0 },
                request with { Ceiling = -1 },
                request with { Figures = new LeaseFigures { Used = int.MaxValue } },
                request with { Role = LeaseRole.Client, Permits = 1 }),
            static reply => Assert.Equal(LeaseStatus.Invalid, reply.Status));
        Assert.Empty(_driver.View.Leases);
    }

    [Fact]
    public void Apply_MoreProcessesThanConfigured_AreRefused()
    {
        _driver.Settings = _driver.Settings with { MaxSilos = 2, MaxClients = 1 };
        _driver.Holder("client", ceiling: 0, role: LeaseRole.Client);
        _driver.Holder("other client", ceiling: 0, role: LeaseRole.Client);

        Assert.Equal(
            [LeaseStatus.Granted, LeaseStatus.Granted, LeaseStatus.TooMany, LeaseStatus.Granted, LeaseStatus.TooMany],
            _driver.Write(
                _driver.Ask("a"), _driver.Ask("b"), _driver.Ask("c"), _driver.Ask("client"),
                _driver.Ask("other client")).Select(static reply => reply.Status));
        Assert.Equal(0, _driver.Lease("client").Permits);
    }

    [Fact]
    public void Abort_AnyBatch_LeavesNoTrace()
    {
        _driver.Settle(("a", 5), ("b", 5));
        BudgetView before = _driver.View;
        LedgerState state = _driver.Ledger.State;

        LedgerBatch batch = _driver.Ledger.Apply(
            [_driver.Ask("a", idle: 3), _driver.Ask("b", used: 5, pending: 20), _driver.Ask("c")], _driver.Now);
        _driver.Ledger.Abort(batch);

        Assert.Same(state, _driver.Ledger.State);
        Assert.Equal(before.Held, _driver.View.Held);
        Assert.Equal(
            before.Leases.Select(static lease => (lease.Incarnation, lease.Permits, lease.Held)),
            _driver.View.Leases.Select(static lease => (lease.Incarnation, lease.Permits, lease.Held)));
    }

    [Fact]
    public void Apply_BeforeTheLastBatchHasEnded_IsABug()
    {
        LedgerBatch batch = _driver.Ledger.Apply([_driver.Ask("a")], _driver.Now);

        Assert.Throws<InvalidOperationException>(() => _driver.Ledger.Apply([], _driver.Now));
        _driver.Ledger.Commit(batch, _driver.Now);
        Assert.Throws<InvalidOperationException>(() => _driver.Ledger.Commit(batch, _driver.Now));
    }

    [Fact]
    public void TryResume_BatchWasWritten_GoesOnFromIt()
    {
        _driver.Settle(("a", 5));
        LedgerBatch batch = _driver.Ledger.Apply([_driver.Ask("a", idle: 20), _driver.Ask("b")], _driver.Now);

        Assert.True(_driver.Ledger.TryResume(batch, batch.State));

        Assert.Same(batch.State, _driver.Ledger.State);
        Assert.Equal([10, 10], _driver.Settle(("a", 50), ("b", 50)));
    }

    [Fact]
    public void TryResume_BatchWasNotWritten_GoesOnWithoutIt()
    {
        _driver.Settle(("a", 5));
        LedgerBatch batch = _driver.Ledger.Apply([_driver.Ask("a", idle: 20), _driver.Ask("b")], _driver.Now);

        Assert.True(_driver.Ledger.TryResume(batch, _driver.Stored));

        Assert.Equal(["a"], _driver.View.Leases.Select(static lease => lease.Incarnation));
    }

    [Fact]
    public void TryResume_ServerLostOwnWrites_KeepsWhatIsKnown()
    {
        LedgerState old = _driver.Stored;
        _driver.Settle(("a", 5), ("b", 5));
        LedgerBatch batch = _driver.Ledger.Apply([_driver.Ask("c")], _driver.Now);

        Assert.True(_driver.Ledger.TryResume(batch, old));

        Assert.Equal(20, _driver.View.Held);
        Assert.True(_driver.Ledger.Apply([], _driver.Now).State.Revision > old.Revision);
    }

    [Fact]
    public void TryResume_AnotherActivationHasWritten_IsOver()
    {
        _driver.Settle(("a", 5));
        Ledger first = _driver.Ledger;
        LedgerBatch batch = first.Apply([_driver.Ask("a")], _driver.Now);
        _driver.TakeOver();
        _driver.Write(_driver.Ask("a"));

        Assert.False(first.TryResume(batch, _driver.Stored));
    }

    [Fact]
    public void TakeOver_UntilAllHaveRenewed_NobodyGrowsAndNewcomersGetNothing()
    {
        _driver.Settle(("a", 5), ("b", 5));
        _driver.Holder("a").Leave();
        _driver.Renew("a", used: 2);
        _driver.TakeOver();
        _driver.Look();

        LeaseReply reply = _driver.Write(_driver.Ask("c", pending: 5))[0];
        Assert.Equal((LeaseStatus.Learning, 0), (reply.Status, reply.Permits));
        int before = _driver.Holder("b").Terms.Permits;
        Assert.Equal(before, _driver.Renew("b", used: before, pending: 50));
        Assert.Equal(LeaseWait.Learning, _driver.Lease("b").Wait);

        _driver.Renew("a", used: 2);
        Assert.True(_driver.Renew("b", used: before, pending: 50) > before);
    }

    [Fact]
    public void TakeOver_OneIsNeverHeardOf_LearnsForItsLeaseAndGraceAndThenAsksTheServer()
    {
        _driver.Settle(("a", 5), ("b", 15));
        _driver.TakeOver();
        _driver.Look();

        for (int second = 0; second < 15; second++) Assert.Equal(15, _driver.Renew("b", used: 15, pending: 50));

        Assert.False(_driver.Ledger.IsLearning(_driver.Now));
        Assert.Equal(["a"], _driver.Ledger.Reclaims(_driver.Now));
        Assert.Equal(15, _driver.Renew("b", used: 15, pending: 50));
        _driver.Ledger.ReportGone("a");
        Assert.Equal(20, _driver.Renew("b", used: 15, pending: 50));
    }

    [Fact]
    public void TakeOver_BeforeTheServerWasLookedAt_NobodyGrows()
    {
        _driver.Settle(("a", 5));
        _driver.TakeOver();

        Assert.True(_driver.Ledger.WantsLook(_driver.Now));
        _driver.Renew("a", used: 20);
        Assert.True(_driver.Ledger.IsLearning(_driver.Now));

        _driver.Look();
        Assert.False(_driver.Ledger.IsLearning(_driver.Now));
    }

    [Fact]
    public void TakeOver_AfterLostWrites_AClaimAboveTheRecordIsHeld()
    {
        _driver.Settle(("a", 10), ("b", 10));
        LedgerState old = _driver.Stored;
        _driver.Settle(("a", 50), ("b", 1));
        Assert.Equal(19, _driver.Holder("a").Terms.Permits);

        _driver.Stored = old;
        _driver.TakeOver("server/2", uptime: TimeSpan.Zero);
        Assert.Equal(19, _driver.Renew("a", used: 19));

        // The sum of both is above the limit now: each keeps what it holds, and no silo grows.
        Assert.Equal(19, _driver.Lease("a").Held);
        Assert.Equal(29, _driver.View.Held);
        Assert.Equal(1, _driver.Renew("b", used: 1));
        Assert.Equal(1, _driver.Renew("b", used: 1));
        Assert.Equal(20, _driver.View.Held);
    }

    [Fact]
    public void TakeOver_AfterLostWrites_ALapsedLeaseIsNotRevived()
    {
        _driver.Settle(("a", 1), ("b", 1));
        _driver.TakeOver("server/2", uptime: TimeSpan.Zero);

        // The silo's lease has expired, and lost writes may have granted its recorded permits to another silo.
        _driver.Wait(11);

        Assert.Equal(0, _driver.Renew("a", pending: 5));
    }

    [Fact]
    public void TakeOver_OfARestartedServer_LearnsUntilNoLeaseOfBeforeCanHold()
    {
        _driver.Settle(("a", 5));
        _driver.TakeOver("server/2", uptime: TimeSpan.FromSeconds(5));
        _driver.Renew("a", used: 5);
        _driver.Ledger.Observe([], new ServerLife("server/2", TimeSpan.Zero), _driver.Now);
        Assert.True(_driver.Ledger.IsLearning(_driver.Now));

        // Fifteen seconds of lease and grace, minus five of uptime, plus an allowance for a fast server clock.
        _driver.Wait(9);
        Assert.True(_driver.Ledger.IsLearning(_driver.Now));
        _driver.Wait(0.2);
        _driver.Ledger.Observe([], new ServerLife("server/2", TimeSpan.Zero), _driver.Now);
        Assert.False(_driver.Ledger.IsLearning(_driver.Now));

        _driver.Renew("a", used: 5);
        _driver.TakeOver("server/3", uptime: TimeSpan.FromMinutes(1));
        _driver.Ledger.Observe([], new ServerLife("server/3", TimeSpan.Zero), _driver.Now);
        _driver.Renew("a", used: 5);
        Assert.False(_driver.Ledger.IsLearning(_driver.Now));
    }

    /// <summary>A promoted replica may have been up for days and still lack the last writes.</summary>
    [Fact]
    public void TakeOver_OnAnotherServer_LearnsForAWholeLeaseAndGraceHoweverLongThatIsUp()
    {
        _driver.Settle(("a", 5));
        ServerLife primary = new("start/1", TimeSpan.FromDays(9), "primary");
        ServerLife replica = new("start/2", TimeSpan.FromDays(9), "replica");
        _driver.Ledger.Observe([], primary, _driver.Now);
        _driver.Renew("a", used: 5);
        _driver.TakeOver(replica);
        _driver.Renew("a", used: 5);
        _driver.Ledger.Observe([], replica, _driver.Now);
        _driver.Wait(14.9);
        Assert.True(_driver.Ledger.IsLearning(_driver.Now));
        _driver.Wait(0.2);
        _driver.Ledger.Observe([], replica, _driver.Now);
        Assert.False(_driver.Ledger.IsLearning(_driver.Now));

        // Now written: the next activation need not relearn it.
        _driver.Renew("a", used: 5);
        _driver.TakeOver(replica);
        _driver.Ledger.Observe([], replica, _driver.Now);
        _driver.Renew("a", used: 5);
        Assert.False(_driver.Ledger.IsLearning(_driver.Now));
    }

    [Fact]
    public void Observe_OnAnotherServer_AStrangerOfTheFormerIsForgotten()
    {
        _driver.Settle(("a", 5));
        var stranger = new DeploymentSession(7, "h:7", null, IsControl: false);
        _driver.Ledger.Observe([stranger], new ServerLife("start/1", TimeSpan.Zero, "primary"), _driver.Now);
        _driver.Wait(60);
        Assert.Empty(_driver.Ledger.Observe(
            [stranger], new ServerLife("start/2", TimeSpan.Zero, "replica"), _driver.Now));
    }

    [Fact]
    public void TakeOver_OfAFormOfTheFuture_IsRefused()
    {
        _driver.Stored = new LedgerState { Format = LedgerState.CurrentFormat + 1 };

        Assert.Throws<InvalidOperationException>(() => _driver.TakeOver());
    }
}
