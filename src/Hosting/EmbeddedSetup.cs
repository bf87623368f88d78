namespace UPool.Hosting;

/// <summary>What an application does to the embedded database before the silo is active; registered as a singleton.
/// Not run on MySQL, where the schema is the operator's.</summary>
/// <param name="RunAsync">Must be safe to run at every start.</param>
public sealed record EmbeddedSetup(Func<PooledDataSource, CancellationToken, Task> RunAsync);
