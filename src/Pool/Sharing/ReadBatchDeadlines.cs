using UPool.Core;

namespace UPool.Sharing;

/// <summary>
/// The deadlines of one read batch's callers, as one entry on the wheel, due at the earliest. Not one entry for each
/// caller: nearly all are answered in time, and most deadlines lie equally far ahead, so the first caller's entry
/// serves all.
/// </summary>
internal sealed class ReadBatchDeadlines<TKey, TAnswer>(ReadBatch<TKey, TAnswer> batch) : WheelEntry
    where TKey : notnull, IEquatable<TKey>
{
    // Guarded by the queue's lock; long.MaxValue while the entry is not on the wheel.
    private long _at = long.MaxValue;

    private IBatchedRead<TKey, TAnswer> Read => batch.Queue.Read;

    /// <summary>Makes sure that the callers are checked at this time or before. Under the queue's lock.</summary>
    public void CheckBy_NeedsLock(long due)
    {
        if (due >= _at) return;

        Stop_NeedsLock();
        _at = due;
        Read.Wheel.Add(this, due);
    }

    /// <summary>Takes the entry off the wheel. Under the queue's lock.</summary>
    public void Stop_NeedsLock()
    {
        if (_at == long.MaxValue) return;

        _at = long.MaxValue;
        Read.Wheel.Remove(this);
    }

    internal override void OnDue(long now)
    {
        List<ReadBatchCaller<TKey, TAnswer>> late = batch.Queue.LeaveLate(batch, now, out bool isSent);
        if (late.Count == 0) return;

        // One refusal for all: the same counts, at the same moment.
        TAnswer? refused = isSent ? default : Read.Refused(RefusalReason.TimedOut);
        foreach (ReadBatchCaller<TKey, TAnswer> caller in late)
        {
            if (isSent) Read.FailLate(caller);
            else caller.Complete(refused!);
        }
    }
}
