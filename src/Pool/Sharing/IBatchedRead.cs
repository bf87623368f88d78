using UPool.Core;

namespace UPool.Sharing;

/// <summary>The read that a queue of read batches executes, and its results for callers without an answer.</summary>
/// <typeparam name="TKey">The key of the read.</typeparam>
/// <typeparam name="TAnswer">The result of a caller: an answer, or the reason why there is none.</typeparam>
internal interface IBatchedRead<TKey, TAnswer>
    where TKey : notnull, IEquatable<TKey>
{
    /// <summary>The clock of all deadlines.</summary>
    TimeProvider Clock { get; }

    /// <summary>The wheel of all deadlines.</summary>
    DeadlineWheel Wheel { get; }

    /// <summary>How long past its deadline a caller may still get an answer that is on its way, in ticks of the
    /// clock.</summary>
    long GraceTicks { get; }

    /// <summary>
    /// Executes the read for all callers that have joined until it calls
    /// <see cref="ReadBatch{TKey,TAnswer}.Close"/>, at the last moment before it sends (INV-10). An
    /// exception from here reaches all callers not yet answered.
    /// </summary>
    /// <param name="batch">The batch.</param>
    /// <param name="abandoned">Cancelled when no caller waits any more.</param>
    Task AskAsync(ReadBatch<TKey, TAnswer> batch, CancellationToken abandoned);

    /// <summary>The result of a caller for which nothing was sent.</summary>
    TAnswer Refused(RefusalReason reason);

    /// <summary>Fails a caller whose read was sent and not answered by its deadline.</summary>
    void FailLate(ReadBatchCaller<TKey, TAnswer> caller);

    /// <summary>Completes a caller whose key had no answer among those of the others. Must not throw: callers are
    /// completed one by one.</summary>
    void CompleteWithoutResult(ReadBatchCaller<TKey, TAnswer> caller);

    /// <summary>A batch that was sent has ended.</summary>
    /// <param name="callers">The number of callers that shared it.</param>
    void OnBatchEnded(int callers);
}
