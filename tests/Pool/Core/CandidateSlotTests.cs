using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>When changed credentials are tried, and how each end of a try is handled.</summary>
public sealed class CandidateSlotTests : IAsyncDisposable
{
    private readonly JumpingClock _clock = new();
    private readonly FakeConnector _server = new();
    private readonly CandidateSlot _slot;

    public CandidateSlotTests() => _slot = new CandidateSlot(_clock);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public void Put_Empty_IsDueAtOnceAndAProblemUntilItIsAccepted()
    {
        Assert.False(_slot.IsTaken);
        Assert.Null(_slot.Problem);
        Task<bool> changed = Put("second");
        Assert.True(_slot.IsTaken && _slot.IsDue(isPausing: true));
        Assert.Contains("not been tried", _slot.Problem, StringComparison.Ordinal);
        Opening trial = Take();
        Assert.False(_slot.IsDue(isPausing: false));
        Assert.NotNull(_slot.Problem);
        Assert.True(_slot.TryAdopt(trial));
        AssertEnded(true, changed);
        Assert.False(_slot.IsTaken);
        Assert.Null(_slot.Problem);
        Assert.Equal("second", _server.Credentials);
    }

    [Fact]
    public void PutBack_NotSent_IsDueAgain()
    {
        Task<bool> changed = Put("second");
        _slot.PutBack(Take());
        Assert.True(_slot.IsDue(isPausing: false));
        Assert.False(changed.IsCompleted);
        Assert.NotNull(_slot.Problem);
    }

    [Fact]
    public void PutBack_OfTheOneBefore_ChangesNothing()
    {
        Put("second");
        Opening former = Take();
        Put("third");
        Take();
        _slot.PutBack(former);
        Assert.False(_slot.IsDue(isPausing: false));
    }

    [Fact]
    public void NoteFailed_Refused_IsDueAfterTheInterval()
    {
        Task<bool> changed = Put("second");
        Assert.True(_slot.NoteFailed(Take(), "refused"));
        AssertEnded(false, changed);
        Assert.Equal("refused", _slot.Problem);
        _clock.Jump(CandidateSlot.RetryInterval - TimeSpan.FromMilliseconds(1));
        Assert.False(_slot.IsDue(isPausing: false));
        _clock.Jump(TimeSpan.FromMilliseconds(1));
        Assert.True(_slot.IsDue(isPausing: false));
        Assert.False(_slot.NoteFailed(Take(), "refused"));
        _clock.Jump(CandidateSlot.RetryInterval);
        Assert.True(_slot.NoteFailed(Take(), "otherwise"));
    }

    [Fact]
    public void NoteFormerFailed_IsDueWithTheNextProbe()
    {
        Put("second");
        _slot.NoteFailed(Take(), "refused");
        _slot.NoteFormerFailed();
        Assert.False(_slot.IsDue(isPausing: true));
        Assert.True(_slot.IsDue(isPausing: false));

        // Once for each failure.
        _slot.NoteFailed(Take(), "refused");
        Assert.False(_slot.IsDue(isPausing: false));
    }

    [Fact]
    public void NoteFormerFailed_Empty_LeavesNothingDueForTheNext()
    {
        _slot.NoteFormerFailed();
        Assert.False(_slot.IsDue(isPausing: false));
        Put("second");
        _slot.NoteFailed(Take(), "refused");
        Assert.False(_slot.IsDue(isPausing: false));
    }

    [Fact]
    public void NoteUnanswered_Lost_AnotherTryIsDueAfterTheInterval()
    {
        Task<bool> changed = Put("second");
        Opening lost = Take();
        lost.IsUnanswered = true;
        _slot.NoteUnanswered(lost);
        Assert.False(_slot.IsDue(isPausing: false));
        _clock.Jump(CandidateSlot.RetryInterval);
        Assert.True(_slot.IsDue(isPausing: false));
        Opening second = Take();

        // The first one's failure is ignored while a second one runs; its success would count.
        Assert.False(_slot.NoteFailed(lost, "lost"));
        Assert.False(changed.IsCompleted);
        Assert.True(_slot.TryAdopt(second));
        Assert.False(_slot.TryAdopt(lost));
        AssertEnded(true, changed);
    }

    [Fact]
    public void Put_AnotherIsBeingTried_TheLastOneCounts()
    {
        Task<bool> second = Put("second");
        Opening former = Take();
        Task<bool> third = Put("third");
        AssertEnded(false, second);
        Assert.False(_slot.NoteFailed(former, "refused"));
        Assert.Contains("not been tried", _slot.Problem, StringComparison.Ordinal);
        Assert.False(_slot.TryAdopt(former));
        Assert.Equal("first", _server.Credentials);
        Assert.True(_slot.IsDue(isPausing: false));
        Assert.True(_slot.TryAdopt(Take()));
        AssertEnded(true, third);
    }

    [Fact]
    public void End_Pending_AnswersFalse()
    {
        Task<bool> changed = Put("second");
        _slot.End();
        AssertEnded(false, changed);
    }

    private Task<bool> Put(string credentials) => _slot.Put(_server.Prepare(credentials));

    private static void AssertEnded(bool isAccepted, Task<bool> changed) =>
        Assert.True(changed is { IsCompletedSuccessfully: true, Result: var accepted } && accepted == isAccepted);

    private Opening Take()
    {
        var opening = new Opening(0);
        _slot.Take(opening);
        Assert.NotNull(opening.Candidate);
        return opening;
    }
}
