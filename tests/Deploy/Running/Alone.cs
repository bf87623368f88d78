namespace UPool.Deploy.Tests.Running;

/// <summary>Tests that start clusters of processes: one at a time, or they would only measure each other.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
