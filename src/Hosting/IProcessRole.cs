namespace UPool.Hosting;

/// <summary>The part that a process has beside hosting a pool, for its start line.</summary>
internal interface IProcessRole
{
    /// <summary><c>a silo of cluster 'x'</c>, say.</summary>
    string Name { get; }
}
