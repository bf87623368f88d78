namespace UPool.Tests.MySql;

/// <summary>Tests that measure how late a caller ends: one at a time, beside no other test of this project.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
