using Microsoft.Extensions.Time.Testing;

namespace UPool.Tests.Fakes;

/// <summary>A fake clock that can also advance without firing timers, as for a process that resumes after a
/// stop.</summary>
internal sealed class JumpingClock : FakeTimeProvider
{
    private long _jumped;

    /// <summary>Called before each reading.</summary>
    public Action? Reading { get; set; }

    public void Jump(TimeSpan time) => Interlocked.Add(ref _jumped, time.Ticks);

    public override long GetTimestamp()
    {
        Reading?.Invoke();
        return base.GetTimestamp() + Interlocked.Read(ref _jumped);
    }
}
