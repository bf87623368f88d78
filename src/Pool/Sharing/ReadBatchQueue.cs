namespace UPool.Sharing;

/// <summary>
/// The callers of one key, or of one look-up, in read batches. At most two batches are under way at a time; a new
/// caller joins the batch whose statement has not been sent. Look-ups far from their database may have more under way.
/// </summary>
/// <param name="read">The read that the batches execute.</param>
/// <param name="onIdle">Called once, when no caller waits any more; from then on no caller can join. Null for look-ups,
/// whose queue stays.</param>
internal sealed class ReadBatchQueue<TKey, TAnswer>(
    IBatchedRead<TKey, TAnswer> read, Action<ReadBatchQueue<TKey, TAnswer>>? onIdle)
    where TKey : notnull, IEquatable<TKey>
{
    // Two, so that a slow batch does not delay all callers; not more, so that a read that has become slow does not take
    // all connections of the pool.
    private const int MaxConcurrentBatches = 2;

    // For look-ups far from their database: as many as a small pool has connections. There a statement costs little but
    // time, and each of these reads other rows.
    private const int MaxConcurrentFarBatches = 8;

    // More callers would be served late in any case, and each costs memory: ten times what a silo admits over HTTP.
    private const int MaxCallers = 10_000;

    // How long a batch waits for those under way: a tick of the wheel, far more than a short read takes.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(10);

    // A database is far when no recent statement was answered faster than this: then the network takes the time. On one
    // machine, or in one rack, a look-up takes less, and under load a few still do.
    private static readonly TimeSpan Far = TimeSpan.FromMilliseconds(1);

    private readonly Lock _gate = new();

    // All below is guarded by _gate.
    // For look-ups only: queues for one key are short-lived and do not use it.
    private readonly RecentMinimum? _recentMinimum = onIdle is null ? new RecentMinimum() : null;
    private ReadBatch<TKey, TAnswer>? _open;   // open to callers: statement not yet sent
    private int _underWay;
    private int _returningCallers;                  // callers just answered that have not returned
    private bool _isRetired;

    public IBatchedRead<TKey, TAnswer> Read => read;

    /// <summary>Joins a queue that stays.</summary>
    public ValueTask<TAnswer> JoinAsync(TKey key, Deadline deadline, CancellationToken token) =>
        TryJoin(key, deadline, token, out ValueTask<TAnswer> answer)
            ? answer
            : throw new InvalidOperationException("bug: the queue of a look-up was retired.");

    /// <summary>Joins; false when the queue has been retired.</summary>
    public bool TryJoin(
        TKey key, Deadline deadline, CancellationToken token, out ValueTask<TAnswer> answer)
    {
        ReadBatchCaller<TKey, TAnswer> caller;
        ReadBatch<TKey, TAnswer>? begun;
        bool isFar;
        lock (_gate)
        {
            isFar = IsFar_NeedsLock();
            if (_isRetired)
            {
                answer = default;
                return false;
            }

            if (_open is { Callers.Count: >= MaxCallers })
            {
                answer = new ValueTask<TAnswer>(read.Refused(RefusalReason.QueueFull));
                return true;
            }

            ReadBatch<TKey, TAnswer> batch = _open ??= new ReadBatch<TKey, TAnswer>(this);
            caller = new ReadBatchCaller<TKey, TAnswer>(batch, key, deadline);
            batch.Callers.Add(caller);
            batch.Waiting++;
            if (!deadline.IsNone) batch.Deadlines.CheckBy_NeedsLock(deadline.Timestamp);
            if (_returningCallers > 0) _returningCallers--;
            begun = BeginNext_NeedsLock();
            if (!batch.HasBegun && batch.Callers.Count == 1)
                read.Wheel.Add(batch, Deadline.After(Patience, read.Clock).Timestamp);
        }

        // Far from the database a batch waits for no other caller, not even for those in the thread pool's queue.
        if (isFar) begun?.Run();
        else begun?.Schedule();
        caller.ListenTo(token);
        answer = caller.Task;
        return true;
    }

    /// <summary>Closes a batch right before its statement is sent: from now on no caller joins it.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="deadline">The latest deadline of the waiting callers.</param>
    /// <returns>Their keys; empty when all have left.</returns>
    public BatchAnswers<TKey, TAnswer> Close(ReadBatch<TKey, TAnswer> batch, out Deadline deadline)
    {
        var keys = new HashSet<TKey>();
        deadline = default;
        bool isFirst = true;
        lock (_gate)
        {
            if (ReferenceEquals(_open, batch)) _open = null;
            batch.IsSent = true;
            batch.SentAt = read.Clock.GetTimestamp();
            foreach (ReadBatchCaller<TKey, TAnswer> caller in batch.Callers)
            {
                if (caller.HasEnded) continue;

                keys.Add(caller.Key);
                deadline = isFirst ? caller.Deadline : Deadline.Later(deadline, caller.Deadline);
                isFirst = false;
            }
        }

        return new BatchAnswers<TKey, TAnswer>([.. keys]);
    }

    /// <summary>A batch has ended.</summary>
    /// <returns>The callers that the calling code must answer now.</returns>
    public List<ReadBatchCaller<TKey, TAnswer>> End(ReadBatch<TKey, TAnswer> batch)
    {
        var answered = new List<ReadBatchCaller<TKey, TAnswer>>(batch.Waiting);
        ReadBatch<TKey, TAnswer>? begun;
        bool isIdle;
        lock (_gate)
        {
            if (ReferenceEquals(_open, batch)) _open = null;
            foreach (ReadBatchCaller<TKey, TAnswer> caller in batch.Callers)
            {
                if (caller.HasEnded) continue;

                caller.HasEnded = true;
                answered.Add(caller);
            }

            batch.Waiting = 0;
            batch.Deadlines.Stop_NeedsLock();
            if (batch.IsSent) _recentMinimum?.Add(read.Clock.GetTimestamp() - batch.SentAt);
            _underWay--;
            _returningCallers = answered.Count;
            begun = BeginNext_NeedsLock();
            isIdle = _underWay == 0 && _open is null;
            _isRetired = isIdle && onIdle is not null;
        }

        if (isIdle) onIdle?.Invoke(this);
        begun?.Schedule();
        return answered;
    }

    /// <summary>A batch has waited long enough for those under way.</summary>
    public void MarkOverdue(ReadBatch<TKey, TAnswer> batch)
    {
        ReadBatch<TKey, TAnswer>? begun;
        lock (_gate)
        {
            batch.IsOverdue = true;
            begun = BeginNext_NeedsLock();
        }

        begun?.Schedule();
    }

    /// <summary>A caller leaves before it was answered; false when it has been answered.</summary>
    /// <param name="caller">The caller.</param>
    /// <param name="isSent">Whether the statement was sent.</param>
    public bool TryLeave(ReadBatchCaller<TKey, TAnswer> caller, out bool isSent)
    {
        ReadBatch<TKey, TAnswer> batch = caller.Batch;
        bool isLast;
        lock (_gate)
        {
            isSent = batch.IsSent;
            if (caller.HasEnded) return false;

            caller.HasEnded = true;
            batch.Waiting--;
            isLast = TryEmpty_NeedsLock(batch);
        }

        if (isLast) batch.Abandon();
        return true;
    }

    /// <summary>Removes the callers whose deadline has passed.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="now">A timestamp of the pool's clock.</param>
    /// <param name="isSent">Whether the statement was sent.</param>
    /// <returns>The removed callers, which the calling code must complete.</returns>
    public List<ReadBatchCaller<TKey, TAnswer>> LeaveLate(ReadBatch<TKey, TAnswer> batch, long now, out bool isSent)
    {
        List<ReadBatchCaller<TKey, TAnswer>> late = [];
        bool isLast = false;
        lock (_gate)
        {
            isSent = batch.IsSent;
            batch.Deadlines.Stop_NeedsLock();
            foreach (ReadBatchCaller<TKey, TAnswer> caller in batch.Callers)
            {
                if (caller.HasEnded || caller.Deadline.IsNone) continue;

                if (caller.GivesUpAt(isSent) is var at && at > now)
                {
                    batch.Deadlines.CheckBy_NeedsLock(at);
                    continue;
                }

                caller.HasEnded = true;
                batch.Waiting--;
                late.Add(caller);
            }

            isLast = late.Count > 0 && TryEmpty_NeedsLock(batch);
        }

        if (isLast) batch.Abandon();
        return late;
    }

    /// <summary>Whether all callers have left a batch, which then ends. No caller may join it any more: it would be
    /// cancelled with the batch.</summary>
    private bool TryEmpty_NeedsLock(ReadBatch<TKey, TAnswer> batch)
    {
        if (batch.Waiting > 0) return false;

        if (ReferenceEquals(_open, batch)) _open = null;
        batch.Deadlines.Stop_NeedsLock();
        return true;
    }

    /// <summary>
    /// Begins the next batch when it is time. With none under way: at once. With one under way: when all callers just
    /// answered have returned, or the batch has waited long enough.
    /// </summary>
    /// <remarks>
    /// Answered callers tend to ask again. A batch that begins just before they do leaves them out for a whole round:
    /// with two batches under way, that costs a third of the throughput. While another batch is under way, waiting for
    /// them costs little. Far from the database, waiting costs more than the statements it saves, so there look-ups
    /// begin at once.
    /// </remarks>
    private ReadBatch<TKey, TAnswer>? BeginNext_NeedsLock()
    {
        if (_open is not { HasBegun: false } next) return null;

        if (IsFar_NeedsLock())
        {
            if (_underWay >= MaxConcurrentFarBatches) return null;
        }
        else
        {
            if (_underWay >= MaxConcurrentBatches) return null;
            if (_underWay > 0 && _returningCallers > 0 && !next.IsOverdue) return null;
        }

        next.HasBegun = true;
        _underWay++;
        read.Wheel.Remove(next);
        return next;
    }

    // Only for look-ups: more than two concurrent queries for one key gain nothing.
    private bool IsFar_NeedsLock() =>
        _recentMinimum is not null && read.Clock.GetElapsedTime(0, _recentMinimum.Ticks) > Far;
}
