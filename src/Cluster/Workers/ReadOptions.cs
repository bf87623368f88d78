namespace UPool.Cluster.Workers;

/// <summary>How workers read: <c>UPool:Reads</c>.</summary>
public sealed class ReadOptions
{
    /// <summary>The section of the configuration.</summary>
    public const string Section = "UPool:Reads";

    /// <summary>
    /// Whether callers that ask the same question at the same time share one query, and look-ups by key that arrive
    /// together become one. Default true: no answer is older than its caller's arrival (INV-10), and a question that
    /// thousands ask costs the database two queries at a time. In a process with a pool the option applies to the
    /// queries, in one that calls workers (<see cref="SharedCall{TKey,T}"/>) to the calls. False is of use for
    /// comparing, and for statements whose every execution has to be seen on the server.
    /// </summary>
    public bool Shared { get; set; } = true;
}
