using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget;

/// <summary>The silo's side of a lease.</summary>
public sealed class LeaseHolderTests
{
    private static LeaseFigures None => default;

    private readonly LeaseHolder _holder = new(
        "silo", LeaseRole.Silo, 20, new BudgetOptions().ToSettings(100), new Random(1), weight: 2);

    [Fact]
    public void Ask_FirstTime_SaysEverythingAndClaimsNothing()
    {
        var figures = new LeaseFigures { Pending = 3 };

        LeaseRequest request = _holder.Ask(figures, At(5));

        Assert.Equal(
            new LeaseRequest
            {
                Incarnation = "silo",
                Sequence = 1,
                Figures = figures,
                Ceiling = 20,
                Weight = 2,
                Settings = _holder.Settings,
            },
            request);
        Assert.Equal(0, _holder.PermitsAt(At(5)));
    }

    [Fact]
    public void Accept_Answer_CountsTheLeaseFromBeforeItWasSentLessDrift()
    {
        LeaseTerms terms = Renew(At(100), answeredAt: At(104), permits: 7);

        Assert.Equal(new LeaseTerms(1, 7, At(109.7), At(114.55), LeaseStatus.Granted), terms);
        Assert.Equal(7, _holder.PermitsAt(At(109.6)));
        Assert.Equal(0, _holder.PermitsAt(At(109.7)));
    }

    [Fact]
    public void Ask_WithALease_ClaimsItsPermitsUntilItsEnd()
    {
        Renew(At(0), At(0), permits: 7);

        LeaseRequest request = _holder.Ask(None, At(1));
        Assert.Equal((2, 1, 7, TimeSpan.FromSeconds(8.7)),
            (request.Sequence, request.AppliedGrant, request.Permits, request.Remaining));

        request = _holder.Ask(None, At(10));
        Assert.Equal((3, 1, 0, TimeSpan.Zero),
            (request.Sequence, request.AppliedGrant, request.Permits, request.Remaining));
    }

    [Fact]
    public void Accept_AnswerToAnOlderRequest_IsDropped()
    {
        LeaseRequest first = _holder.Ask(None, At(0));
        LeaseRequest second = _holder.Ask(None, At(1));

        Assert.Null(_holder.Accept(Grant(first, 9, grant: 1), At(1)));
        Assert.Equal(5, _holder.Accept(Grant(second, 5, grant: 2), At(1))?.Permits);
        Assert.Null(_holder.Accept(Grant(second, 5, grant: 2), At(1)));
    }

    [Fact]
    public void Accept_AnswerAfterTheEndOfItsLease_IsDropped()
    {
        LeaseRequest request = _holder.Ask(None, At(0));

        Assert.Null(_holder.Accept(Grant(request, 9), At(9.7)));
        Assert.Equal(0, _holder.PermitsAt(At(9.7)));
    }

    [Fact]
    public void Ask_AcceptedButNotSetInThePool_IsABug()
    {
        _holder.Accept(Grant(_holder.Ask(None, At(0)), 9), At(0));

        Assert.Throws<InvalidOperationException>(() => _holder.Ask(None, At(1)));
    }

    [Fact]
    public void Accept_NoLease_KeepsTheOneBefore()
    {
        Renew(At(0), At(0), permits: 7);
        foreach (LeaseStatus status in new[] { LeaseStatus.TooMany, LeaseStatus.Stale, LeaseStatus.Invalid })
        {
            LeaseRequest request = _holder.Ask(None, At(1));

            LeaseTerms? terms = _holder.Accept(
                new LeaseReply { RequestSequence = request.Sequence, Status = status }, At(1));

            Assert.Equal((status, 7), (terms?.Status, terms?.Permits));
            Assert.Equal(7, _holder.PermitsAt(At(9)));
        }
    }

    [Fact]
    public void Accept_BeingReclaimed_EndsTheLeaseAtOnce()
    {
        Renew(At(0), At(0), permits: 7);
        LeaseRequest request = _holder.Ask(None, At(1));

        _holder.Accept(
            new LeaseReply { RequestSequence = request.Sequence, Status = LeaseStatus.Reclaiming }, At(1));

        Assert.Equal(0, _holder.PermitsAt(At(1)));
    }

    [Fact]
    public void NextAskAt_NothingHappens_IsAnIntervalAfterTheLastWithJitter()
    {
        Assert.Equal(TimeSpan.Zero, _holder.NextAskAt(None));
        Renew(At(0), At(0.1), permits: 7);

        Assert.InRange(_holder.NextAskAt(None), At(0.9), At(1));
    }

    [Fact]
    public void NextAskAt_PoolWaitsForPermits_IsHalfASecondAtMost()
    {
        Renew(At(0), At(0.1), permits: 7);

        Assert.InRange(_holder.NextAskAt(new LeaseFigures { Used = 7, Pending = 1 }), At(0.25), At(0.5));
        Assert.InRange(_holder.NextAskAt(new LeaseFigures { Used = 3, Opening = 1, Pending = 1 }), At(0.9), At(1));
    }

    [Fact]
    public void NextAskAt_MuchLessToDoThanItSaid_IsHalfASecondAtMost()
    {
        Renew(At(0), At(0.1), permits: 7, new LeaseFigures { Used = 7 });

        Assert.InRange(_holder.NextAskAt(new LeaseFigures { Used = 4, Idle = 3 }), At(0.9), At(1));
        Assert.InRange(_holder.NextAskAt(new LeaseFigures { Used = 3, Idle = 4 }), At(0.45), At(0.5));
    }

    [Fact]
    public void NextAskAt_ShrinkIsDone_IsAtOnce()
    {
        Renew(At(0), At(0), permits: 7, new LeaseFigures { Used = 7 });
        Renew(At(1), At(1.1), permits: 4, new LeaseFigures { Used = 7 });

        Assert.InRange(_holder.NextAskAt(new LeaseFigures { Used = 5 }), At(1.45), At(1.5));
        Assert.InRange(_holder.NextAskAt(new LeaseFigures { Used = 4 }), At(1), At(1.05));

        Renew(At(1.1), At(1.2), permits: 4, new LeaseFigures { Used = 4 });
        Assert.InRange(_holder.NextAskAt(new LeaseFigures { Used = 4 }), At(2), At(2.1));
    }

    [Fact]
    public void NextAskAt_AfterFailures_BacksOffWithJitter()
    {
        Renew(At(0), At(0), permits: 7);
        var waits = new LeaseFigures { Used = 7, Pending = 1 };
        var pauses = new List<TimeSpan>();
        for (int failure = 0; failure < 8; failure++)
        {
            LeaseRequest request = _holder.Ask(None, At(failure));
            _holder.MarkFailed(request.Sequence, At(failure));
            pauses.Add(_holder.NextAskAt(None) - At(failure));
            Assert.True(_holder.NextAskAt(waits) - At(failure) <= LeaseHolder.MaxPauseWhileWaiting);
        }

        Assert.InRange(pauses[0], At(0.05), At(0.1));
        Assert.InRange(pauses[1], At(0.1), At(0.2));
        Assert.InRange(pauses[^1], At(0.5), At(1));
    }

    [Fact]
    public void RequestTimeout_AnswersThatDoNotCome_AreWaitedForLonger()
    {
        var timeouts = new List<double>();
        TimeSpan now = TimeSpan.Zero;
        for (int failure = 0; failure < 12; failure++)
        {
            timeouts.Add(_holder.RequestTimeout.TotalSeconds);
            LeaseRequest request = _holder.Ask(None, now);
            Assert.Equal(now + _holder.RequestTimeout, _holder.NextAskAt(None));
            now += _holder.RequestTimeout;
            _holder.MarkFailed(request.Sequence, now);
        }

        Assert.Equal([2, 2, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5], timeouts);

        for (int answer = 0; answer < 4; answer++) Renew(now, now, permits: 1);
        Assert.Equal(2, _holder.RequestTimeout.TotalSeconds);
    }

    [Fact]
    public void Accept_LateAnswerToTheNewestRequest_Counts()
    {
        LeaseRequest request = _holder.Ask(None, At(0));
        _holder.MarkFailed(request.Sequence, At(1));

        Assert.Equal(9, _holder.Accept(Grant(request, 9), At(1.05))?.Permits);
        Assert.InRange(_holder.NextAskAt(None), At(0.9), At(1));
    }

    [Fact]
    public void Awaits_UntilAnsweredOrGivenUp_TheNewestAlone()
    {
        LeaseRequest first = _holder.Ask(None, At(0));
        Assert.True(_holder.Awaits(first));
        LeaseRequest second = _holder.Ask(None, At(1));
        Assert.False(_holder.Awaits(first));
        _holder.MarkFailed(second.Sequence, At(2));
        Assert.False(_holder.Awaits(second));

        LeaseRequest third = _holder.Ask(None, At(3));
        Assert.NotNull(_holder.Accept(Grant(third, 9), At(3)));
        Assert.False(_holder.Awaits(third));
    }

    [Fact]
    public void ResendInterval_NothingArrives_ALeaseHasNineSends()
    {
        Renew(At(0), At(0), permits: 7);
        int sends = 0;
        for (TimeSpan now = _holder.NextAskAt(None); _holder.PermitsAt(now) > 0; now = _holder.NextAskAt(None))
        {
            LeaseRequest request = _holder.Ask(None, now);
            TimeSpan end = now + _holder.RequestTimeout;
            for (; now < end && _holder.PermitsAt(now) > 0; now += _holder.ResendInterval) sends++;
            _holder.MarkFailed(request.Sequence, end);
        }

        Assert.InRange(sends, 9, 10);
    }

    [Fact]
    public void Leave_HoldsNothingAndIsDoneWhenThatIsAnswered()
    {
        Renew(At(0), At(0), permits: 7);
        _holder.Leave();
        Assert.Equal(0, _holder.PermitsAt(At(1)));

        LeaseRequest request = _holder.Ask(new LeaseFigures { Used = 1 }, At(1));
        Assert.True(request.IsLeaving);
        Assert.Equal(0, request.Permits);
        _holder.MarkApplied(_holder.Accept(Grant(request, 0, grant: 1), At(1))!.Value);
        Assert.False(_holder.HasLeft);

        Assert.InRange(_holder.NextAskAt(None), At(1), At(1.05));
        _holder.MarkApplied(_holder.Accept(Grant(_holder.Ask(None, At(1.05)), 0, grant: 1), At(1.1))!.Value);
        Assert.True(_holder.HasLeft);
    }

    [Fact]
    public void MarkRestarted_AsksAtOnceAndSaysSoUntilItIsAnswered()
    {
        Renew(At(0), At(0), permits: 7);
        _holder.MarkRestarted();

        Assert.InRange(_holder.NextAskAt(None), At(0), At(0.05));
        LeaseRequest request = _holder.Ask(None, At(1));
        Assert.True(request.SawRestart);
        _holder.MarkApplied(_holder.Accept(Grant(request, 7, grant: 1), At(1))!.Value);
        Assert.False(_holder.Ask(None, At(2)).SawRestart);
    }

    private LeaseTerms Renew(TimeSpan askedAt, TimeSpan answeredAt, int permits, LeaseFigures figures = default)
    {
        LeaseRequest request = _holder.Ask(figures, askedAt);
        LeaseTerms terms = _holder.Accept(Grant(request, permits, grant: request.Sequence), answeredAt)!.Value;
        _holder.MarkApplied(terms);
        return terms;
    }

    private static LeaseReply Grant(LeaseRequest request, int permits, long grant = 1) => new()
    {
        RequestSequence = request.Sequence,
        Status = LeaseStatus.Granted,
        Grant = grant,
        Permits = permits,
        Duration = TimeSpan.FromSeconds(10),
        Grace = TimeSpan.FromSeconds(5),
    };

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);
}
