namespace UPool.Cluster.Budget;

/// <summary>How a request for a lease was answered.</summary>
internal enum LeaseStatus
{
    /// <summary>A lease of <see cref="LeaseReply.Permits"/>, which may be 0 while others give back.</summary>
    Granted = 0,

    /// <summary>A lease, by a coordinator that has just taken over: nobody grows, and a newcomer gets nothing
    /// yet.</summary>
    Learning,

    /// <summary>No lease: as many silos, or clients, as are configured are there already.</summary>
    TooMany,

    /// <summary>No lease: the one before ran out with its grace, and its sessions are being ended. Ask again.</summary>
    Reclaiming,

    /// <summary>No lease: a newer request of the same incarnation was seen. The reply is for nobody.</summary>
    Stale,

    /// <summary>No lease: the request cannot be (no incarnation, a weight out of range, a negative figure).</summary>
    Invalid,
}

/// <summary>The coordinator's answer to one request.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.LeaseReply")]
internal sealed record LeaseReply
{
    /// <summary>The <see cref="LeaseRequest.Sequence"/> it answers.</summary>
    [Id(0)] public required long RequestSequence { get; init; }

    /// <summary>How the request was answered.</summary>
    [Id(1)] public required LeaseStatus Status { get; init; }

    /// <summary>Counts the changes of this incarnation's permits; the next request names it as applied.</summary>
    [Id(2)] public long Grant { get; init; }

    /// <summary>The permits from now on, more or fewer than before.</summary>
    [Id(3)] public int Permits { get; init; }

    /// <summary>How long the lease holds: the holder counts it from before it sent the request, less 3 %.</summary>
    [Id(4)] public TimeSpan Duration { get; init; }

    /// <summary>The time after the lease until everything must be closed.</summary>
    [Id(5)] public TimeSpan Grace { get; init; }

    /// <summary>The deployment's number that holds now.</summary>
    [Id(6)] public int ServerConnections { get; init; }

    /// <summary>Whether live processes are configured differently, so that the least of them holds.</summary>
    [Id(7)] public bool IsMismatched { get; init; }

    /// <summary>Whether the reply gives a lease at all.</summary>
    public bool IsLease => Status is LeaseStatus.Granted or LeaseStatus.Learning;
}
