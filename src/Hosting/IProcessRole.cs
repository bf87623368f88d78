namespace UPool.Hosting;

/// <summary>The role of a process besides hosting a pool, for its start line.</summary>
internal interface IProcessRole
{
    /// <summary>The role in words, such as <c>a silo of cluster 'x'</c>.</summary>
    string Name { get; }
}
