using UPool.Hosting;

namespace UPool.Cluster.Status;

/// <summary>A <see cref="PoolReport"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.SiloPool")]
internal sealed record SiloPool
{
    /// <summary>The silo: address, port and generation, as the membership table names it.</summary>
    [Id(0)]
    public required string Silo { get; init; }

    /// <summary>The pool; null when the silo did not answer.</summary>
    [Id(1)]
    public PoolSnapshot? Pool { get; init; }

    /// <summary>The silo's own <c>UPool:Pool:MaxConnections</c>: with a budget, the most permits it can get.</summary>
    [Id(2)]
    public int Ceiling { get; init; }

    /// <summary>How long the silo's lease still lasts; zero once it is over, null without a budget.</summary>
    [Id(3)]
    public TimeSpan? LeaseLeft { get; init; }

    /// <summary>Why rents wait, in one line; null if none does.</summary>
    [Id(4)]
    public string? Waits { get; init; }

    /// <summary>The silo's problem, in one line; null if it has none.</summary>
    [Id(5)]
    public string? Problem { get; init; }

    /// <summary>The report for operators.</summary>
    public PoolReport ToReport() => new()
    {
        Silo = Silo,
        Pool = Pool,
        Ceiling = Ceiling,
        LeaseLeft = LeaseLeft,
        Waits = Waits,
        Problem = Problem,
    };
}
