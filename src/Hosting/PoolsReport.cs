namespace UPool.Hosting;

/// <summary>The pools of a process, or of a whole cluster, at one moment: <c>/upool/pool</c>.</summary>
/// <param name="Budget">The budget; null when there is none, or when its coordinator does not answer.</param>
/// <param name="Silos">The pool of each silo, in the order of their addresses.</param>
/// <param name="Problem">Why this is not the whole picture, in one plain line; null when it is.</param>
internal sealed record PoolsReport(BudgetReport? Budget, IReadOnlyList<PoolReport> Silos, string? Problem);

/// <summary>The pool of one process, as an operator sees it.</summary>
internal sealed record PoolReport
{
    /// <summary>The silo: address, port and generation, as the membership table names it.</summary>
    public required string Silo { get; init; }

    /// <summary>The pool; null when the silo did not answer.</summary>
    public PoolSnapshot? Pool { get; init; }

    /// <summary>The process's own <c>UPool:Pool:MaxConnections</c>: with a budget, the most permits it can
    /// get.</summary>
    public int Ceiling { get; init; }

    /// <summary>How long the lease still lasts; zero once it is over, null without a budget.</summary>
    public TimeSpan? LeaseLeft { get; init; }

    /// <summary>Why rents wait, in one plain line; null when none does.</summary>
    public string? Waits { get; init; }

    /// <summary>What ails, in one plain line; null when nothing does.</summary>
    public string? Problem { get; init; }

    /// <summary>The pool of this process, which is no silo or cannot ask the others.</summary>
    internal static PoolReport OfThisProcess(PooledDataSource pool, string? problem)
    {
        PoolSnapshot snapshot = pool.Snapshot();
        return new PoolReport
        {
            Silo = "this process",
            Pool = snapshot,
            Ceiling = pool.MaxConnections,
            Waits = WhyWaits(snapshot, pool.MaxConnections, problem),
            Problem = problem,
        };
    }

    /// <summary>Why rents wait.</summary>
    internal static string? WhyWaits(PoolSnapshot pool, int ceiling, string? problem)
    {
        if (pool.Pending == 0) return null;
        if (problem is not null) return problem;
        if (pool.Permits == 0) return "no permits: the budget has granted none yet";
        if (pool.Opening > 0) return "a connection is being opened";

        // Closing ones hold their permits until the server has dropped them.
        if (pool.Used + pool.Closing < pool.Permits) return "a connection is being checked or opened";
        return pool.Permits < ceiling
            ? $"all {pool.Permits} permits are used; the budget gives no more now"
            : $"all {pool.Permits} permits are used; UPool:Pool:MaxConnections allows no more";
    }
}

/// <summary>Reads the pools of a whole cluster; not registered where a process is alone.</summary>
internal interface IPoolsReader
{
    /// <summary>Asks for a few seconds at most. Does not throw when nobody answers: the problem says so.</summary>
    Task<PoolsReport> ReadAsync();
}
