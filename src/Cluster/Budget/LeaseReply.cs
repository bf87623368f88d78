namespace UPool.Cluster.Budget;

/// <summary>How a request for a lease was answered.</summary>
internal enum LeaseStatus
{
    /// <summary>A lease of <see cref="LeaseReply.Permits"/>, which may be 0 while others shrink.</summary>
    Granted = 0,

    /// <summary>A lease from a coordinator that has just taken over: no lease grows, and a newcomer gets no permits
    /// yet.</summary>
    Learning,

    /// <summary>No lease: the configured number of silos, or of clients, is reached.</summary>
    TooMany,

    /// <summary>No lease: the previous one ran out with its grace, and its sessions are being ended. Ask
    /// again.</summary>
    Reclaiming,

    /// <summary>No lease: a newer request of the same incarnation was seen. The holder ignores the reply.</summary>
    Stale,

    /// <summary>No lease: the request is invalid (no incarnation, a weight out of range, a negative figure).</summary>
    Invalid,
}

/// <summary>The coordinator's answer to one request.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.LeaseReply")]
internal sealed record LeaseReply
{
    /// <summary>The <see cref="LeaseRequest.Sequence"/> of the answered request.</summary>
    [Id(0)] public required long RequestSequence { get; init; }

    /// <summary>How the request was answered.</summary>
    [Id(1)] public required LeaseStatus Status { get; init; }

    /// <summary>Counts the changes of this incarnation's permits; the next request names it as applied.</summary>
    [Id(2)] public long Grant { get; init; }

    /// <summary>The permits from now on, more or fewer than before.</summary>
    [Id(3)] public int Permits { get; init; }

    /// <summary>How long the lease lasts: the holder counts it from before it sent the request, less 3 %.</summary>
    [Id(4)] public TimeSpan Duration { get; init; }

    /// <summary>The time after the lease by whose end everything must be closed.</summary>
    [Id(5)] public TimeSpan Grace { get; init; }

    /// <summary>The deployment's number in force.</summary>
    [Id(6)] public int ServerConnections { get; init; }

    /// <summary>Whether live processes are configured differently, so that the least of their settings apply.</summary>
    [Id(7)] public bool IsMismatched { get; init; }

    /// <summary>Whether the reply gives a lease at all.</summary>
    public bool IsLease => Status is LeaseStatus.Granted or LeaseStatus.Learning;
}
