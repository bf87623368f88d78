namespace UPool.Hosting;

/// <summary>What a process is beside the host of a pool, for its start line.</summary>
internal interface IProcessRole
{
    /// <summary><c>a silo of cluster 'x'</c>, say.</summary>
    string Name { get; }
}
