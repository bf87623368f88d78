using UPool.Core;

namespace UPool.Sharing;

/// <summary>
/// The deadlines of one read batch's callers, as one entry on the wheel, due at the earliest. Not one entry for each
/// caller: nearly all are answered in time, and most deadlines lie equally far ahead, so the first caller's entry
/// serves all.
/// </summary>
internal sealed class AskingGiveUps<TKey, TAnswer>(Asking<TKey, TAnswer> asking) : WheelEntry
    where TKey : notnull, IEquatable<TKey>
{
    // Guarded by the queue's lock; long.MaxValue while the entry is not on the wheel.
    private long _at = long.MaxValue;

    private IAsked<TKey, TAnswer> Asked => asking.Line.Asked;

    /// <summary>Makes sure that the callers are checked at this time or before. Under the queue's lock.</summary>
    public void By_NeedsLock(long due)
    {
        if (due >= _at) return;

        Stop_NeedsLock();
        _at = due;
        Asked.Wheel.Add(this, due);
    }

    /// <summary>Takes the entry off the wheel. Under the queue's lock.</summary>
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

        // One refusal for all: the same counts, at the same moment.
        TAnswer? refused = isSent ? default : Asked.Refused(RefusalReason.TimedOut);
        foreach (AskingCaller<TKey, TAnswer> caller in late)
        {
            if (isSent) Asked.TellLate(caller);
            else caller.Complete(refused!);
        }
    }
}
