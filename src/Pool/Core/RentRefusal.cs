namespace UPool.Core;

/// <summary>A refused rent. The message is built only when it is read: under overload nothing reads it.</summary>
internal sealed class RentRefusal(
    RefusalReason reason, string pool, TimeSpan rentTimeout, PoolCounts counts, string? problem, Exception? cause)
{
    public RefusalReason Reason => reason;

    public Exception? Cause => cause;

    public string Message => reason switch
    {
        RefusalReason.TimedOut =>
            $"Pool '{pool}': no connection within {rentTimeout.TotalMilliseconds:0} ms ({counts}). "
            + (counts is { Opening: > 0, Used: 0, Idle: 0 }
                ? "The first connections are still being opened; try again."
                : "Raise MaxConnections within the cluster's budget, or shorten transactions.")
            + (problem is null ? "" : $" The last open failed: {problem}"),
        RefusalReason.QueueFull =>
            $"Pool '{pool}': too many rents are pending ({counts}). "
            + "Send less, raise MaxConnections within the cluster's budget, or raise MaxPending.",
        RefusalReason.PredictedLate =>
            $"Pool '{pool}': this rent could not be served before its deadline ({counts}). "
            + "Send less, or raise MaxConnections within the cluster's budget.",
        RefusalReason.NoPermits =>
            $"Pool '{pool}': no permit for a connection ({counts}). "
            + (problem ?? "MaxConnections was set to 0."),
        RefusalReason.Draining =>
            $"Pool '{pool}' is draining and takes no new rents ({counts}). Use another silo.",
        RefusalReason.Unavailable =>
            $"Pool '{pool}': the database is not available ({counts}). {problem}",
        _ => throw new InvalidOperationException($"bug: refusal {reason} has no message."),
    };
}
