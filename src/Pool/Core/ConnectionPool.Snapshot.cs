namespace UPool.Core;

/// <content>The state at one moment, for whoever looks.</content>
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
            wait = _wait.Copy();
            use = _use.Copy();
            snapshot = new PoolSnapshot
            {
                Pool = _options.Name,
                Permits = _permits,
                Opening = _opening,
                Idle = _idle.Count,
                Used = _used,
                Closing = _closing,
                Pending = _pending.Count,
                Rented = _lastRentId,
                TimedOut = _timedOut,
                Rejected = _rejected,
                Opened = _opened,
                Severed = _severed,
                Closed = Enum.GetValues<CloseReason>()
                    .ToDictionary(reason => PoolTelemetry.NameOf(reason), reason => _closed[(int)reason]),
                Wait = default,
                Use = default,
            };
        }

        return snapshot with
        {
            Wait = DurationWindow.Percentiles(wait, _clock),
            Use = DurationWindow.Percentiles(use, _clock),
        };
    }

    private PoolCounts Counts_NeedsLock() =>
        new(_permits, _used, _idle.Count, _opening, _closing, _pending.Count);
}
