using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>The outcomes of opens: late, unanswered, lost, failed; and the pause before the next open.</summary>
public sealed class OpenJudgeTests
{
    private static readonly OpenFault Refused = new("refused", new IOException("refused"), FaultKind.Failed);

    private readonly JumpingClock _clock = new();
    private readonly OpenJudge _judge;

    public OpenJudgeTests() => _judge = new OpenJudge(_clock, maxRetryInterval: TimeSpan.FromSeconds(1));

    [Fact]
    public void NoteFailed_Newest_IsTheFaultThroughAPause()
    {
        Opening open = Sent();
        _judge.End(open);
        (TimeSpan pause, bool isNews) = _judge.NoteFailed(open, Refused);
        Assert.True(isNews);
        Assert.Same(Refused, _judge.Fault);
        Assert.True(_judge.IsPausing);
        _clock.Jump(pause);
        Assert.False(_judge.IsPausing);
        Assert.Equal(0, _judge.Opening);
    }

    [Fact]
    public void NoteFailed_SameProblemAgain_IsNoNews()
    {
        for (int failed = 1; failed <= 3; failed++)
        {
            Opening open = Sent();
            _judge.End(open);
            Assert.Equal(failed == 1, _judge.NoteFailed(open, Refused with { }).IsNews);
        }

        Assert.True(_judge.NoteFailed(Sent(), Refused with { Problem = "another" }).IsNews);
    }

    [Fact]
    public void EndPause_DelayEndedEarlierThanTheClockSays_IsOver()
    {
        _judge.NoteFailed(Sent(), Refused);
        Assert.True(_judge.IsPausing);
        _judge.EndPause();
        Assert.False(_judge.IsPausing);
    }

    [Fact]
    public void NoteOpened_AfterAFault_EndsItAndSaysSo()
    {
        _judge.NoteFailed(Sent(), Refused);
        Opening open = Sent();
        _judge.End(open);
        Assert.True(_judge.NoteOpened(open));
        Assert.Null(_judge.Fault);
        Assert.False(_judge.NoteOpened(Sent()));
    }

    [Fact]
    public void NoteUnanswered_NobodyElseWasAnswered_IsTheFault()
    {
        Opening open = Late();
        Assert.Equal(OpenSilence.News, _judge.NoteUnanswered(open, "silent"));
        Assert.Equal((FaultKind.Unanswered, "silent"), (_judge.FaultKind, _judge.Silence));
        Assert.Equal((1, 0, 1), (_judge.Opening, _judge.Late, _judge.Unanswered));
        Assert.Equal(OpenSilence.Known, _judge.NoteUnanswered(Late(), "silent"));

        // Any answer on another session shows that this open was lost.
        Assert.True(_judge.NoteAnswered());
        Assert.Null(_judge.Fault);
        Assert.Equal("silent", _judge.Silence);
        Assert.False(_judge.NoteAnswered());
    }

    [Fact]
    public void NoteUnanswered_AnotherWasAnsweredSince_WasLost()
    {
        Opening open = Late();
        _judge.NoteAnswered();
        Assert.Equal(OpenSilence.Lost, _judge.NoteUnanswered(open, "silent"));
        Assert.Null(_judge.Fault);
        Assert.False(_judge.AreOpensAnswered);
        Opening later = Sent();
        _judge.End(later);
        _judge.NoteOpened(later);
        Assert.True(_judge.AreOpensAnswered);

        // Its failure gives no new information.
        _judge.End(open);
        Assert.Equal((OpenJudge.MinRetryInterval, false), _judge.NoteFailed(open, Refused));
        Assert.Null(_judge.Fault);
        Assert.Null(_judge.Silence);
    }

    [Fact]
    public void NoteUnanswered_ALaterOneFailed_LeavesThatFault()
    {
        Opening open = Late();
        _judge.NoteFailed(Sent(), Refused);
        Assert.Equal(OpenSilence.Known, _judge.NoteUnanswered(open, "silent"));
        Assert.Same(Refused, _judge.Fault);
    }

    [Fact]
    public void NoteUnanswered_EndedJustThen_IsOver()
    {
        Opening open = Late();
        _judge.End(open);
        Assert.Equal(OpenSilence.Over, _judge.NoteUnanswered(open, "silent"));
        Assert.False(_judge.NoteLate(open));
        Assert.Equal((0, 0, 0), (_judge.Opening, _judge.Late, _judge.Unanswered));
    }

    [Fact]
    public void NoteCandidateFailed_ItWasTheProbe_FaultIsOver()
    {
        Opening open = Late();
        _judge.NoteUnanswered(open, "silent");
        _judge.End(open);
        _judge.NoteCandidateFailed(open);
        Assert.Null(_judge.Fault);
    }

    [Fact]
    public void NoteCandidateFailed_OthersFail_LeavesTheirFaultAndPause()
    {
        _judge.NoteFailed(Sent(), Refused);
        Opening open = Sent();
        _judge.End(open);
        _judge.NoteCandidateFailed(open);
        Assert.Same(Refused, _judge.Fault);
        Assert.True(_judge.IsPausing);
    }

    private Opening Sent()
    {
        var open = new Opening(0);
        _judge.Begin();
        _judge.Send(open);
        return open;
    }

    private Opening Late()
    {
        Opening open = Sent();
        Assert.True(_judge.NoteLate(open));
        return open;
    }
}
