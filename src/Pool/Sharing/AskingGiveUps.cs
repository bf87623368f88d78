using UPool.Core;

namespace UPool.Sharing;

/// <summary>
/// The deadlines of those who wait for one asking, on the wheel by the earliest of them. Not one entry for each: nearly
/// all are answered before theirs, and their deadlines mostly lie as far ahead as each other's, so that the first
/// caller's stands for all.
/// </summary>
internal sealed class AskingGiveUps<TKey, TAnswer>(Asking<TKey, TAnswer> asking) : WheelEntry
    where TKey : notnull, IEquatable<TKey>
{
    // Guarded by the line's lock; long.MaxValue while it is not on the wheel.
    private long _at = long.MaxValue;

    private IAsked<TKey, TAnswer> Asked => asking.Line.Asked;

    /// <summary>Looks at the callers at this time, or before. Under the line's lock.</summary>
    public void By_NeedsLock(long due)
    {
        if (due >= _at) return;

        Stop_NeedsLock();
        _at = due;
        Asked.Wheel.Add(this, due);
    }

    /// <summary>Looks no more. Under the line's lock.</summary>
    public void Stop_NeedsLock()
    {
        if (_at == long.MaxValue) return;

        _at = long.MaxValue;
        Asked.Wheel.Remove(this);
    }

    internal override void OnDue(long now)
    {
        List<AskingCaller<TKey, TAnswer>> late = asking.Line.LeaveLate(asking, now, out bool isSent);
        if (late.Count == 0) return;

        // One for all: the same counts, at the same moment.
        TAnswer? refused = isSent ? default : Asked.Refused(RefusalReason.TimedOut);
        foreach (AskingCaller<TKey, TAnswer> caller in late)
        {
            if (isSent) Asked.TellLate(caller);
            else caller.Complete(refused!);
        }
    }
}
