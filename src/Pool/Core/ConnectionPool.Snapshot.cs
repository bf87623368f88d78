namespace UPool.Core;

/// <content>The pool's state at one moment.</content>
internal sealed partial class ConnectionPool
{
    /// <summary>The counts at one moment.</summary>
    public PoolCounts Counts
    {
        get
        {
            lock (_gate) return Counts_NeedsLock();
        }
    }

    public PoolSnapshot Snapshot()
    {
        long[] wait, use;
        PoolSnapshot snapshot;
        lock (_gate)
        {
            snapshot = _books.Copy(_options.Name, _judge.Opening, _pending.Count, out wait, out use);
        }

        return snapshot with
        {
            Wait = DurationWindow.Percentiles(wait, _clock),
            Use = DurationWindow.Percentiles(use, _clock),
        };
    }

    private PoolCounts Counts_NeedsLock() => _books.Count(_judge.Opening, _pending.Count);
}
