namespace UPool.Hosting;

/// <summary>The pools of a process, or of a whole cluster, at one moment: <c>/upool/pool</c>.</summary>
/// <param name="Budget">The budget; null if there is none or its coordinator does not answer.</param>
/// <param name="Silos">The pool of each silo, in the order of their addresses.</param>
/// <param name="Problem">Why the report is incomplete, in one line; null if it is complete.</param>
internal sealed record PoolsReport(BudgetReport? Budget, IReadOnlyList<PoolReport> Silos, string? Problem);

/// <summary>The pool of one process, as an operator sees it.</summary>
internal sealed record PoolReport
{
    /// <summary>The silo: address, port and generation, as the membership table names it.</summary>
    public required string Silo { get; init; }

    /// <summary>The pool; null if the silo did not answer.</summary>
    public PoolSnapshot? Pool { get; init; }

    /// <summary>The process's own <c>UPool:Pool:MaxConnections</c>: with a budget, the most permits it can
    /// get.</summary>
    public int Ceiling { get; init; }

    /// <summary>The time left of the lease; zero once it has ended, null without a budget.</summary>
    public TimeSpan? LeaseLeft { get; init; }

    /// <summary>Why rents wait, in one line; null if none waits.</summary>
    public string? Waits { get; init; }

    /// <summary>The problem, in one line; null if there is none.</summary>
    public string? Problem { get; init; }

    /// <summary>The pool of this process, if it is no silo or cannot ask the others.</summary>
    internal static PoolReport OfThisProcess(PooledDataSource pool, string? problem)
    {
        PoolSnapshot snapshot = pool.Snapshot();
        return new PoolReport
        {
            Silo = "this process",
            Pool = snapshot,
            Ceiling = pool.MaxConnections,
            Waits = DescribeWait(snapshot, pool.MaxConnections, problem),
            Problem = problem,
        };
    }

    /// <summary>Why rents wait; null if none waits.</summary>
    internal static string? DescribeWait(PoolSnapshot pool, int ceiling, string? problem)
    {
        if (pool.Pending == 0) return null;
        if (problem is not null) return problem;
        if (pool.Permits == 0) return "no permits: the budget has granted none yet";
        if (pool.Opening > 0) return "a connection is being opened";

        // Closing connections hold their permits until the server has dropped the sessions.
        if (pool.Used + pool.Closing < pool.Permits) return "a connection is being checked or opened";
        return pool.Permits < ceiling
            ? $"all {pool.Permits} permits are used; the budget gives no more now"
            : $"all {pool.Permits} permits are used; UPool:Pool:MaxConnections allows no more";
    }
}

/// <summary>Reads the pools of a whole cluster; not registered in a process without one.</summary>
internal interface IPoolsReader
{
    /// <summary>Takes a few seconds at most. Does not throw if no silo answers: the report names the problem.</summary>
    Task<PoolsReport> ReadAsync();
}
