namespace UPool.Tests.MySql;

/// <summary>Tests that load the machine or measure lateness: one at a time, beside nothing else.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
