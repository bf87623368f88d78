namespace UPool.Hosting;

/// <summary>The application's setup of the embedded database before the silo is active; registered as a singleton. Not
/// run on MySQL, where the operator applies the schema.</summary>
/// <param name="RunAsync">The setup. Must be safe to run at every start.</param>
public sealed record EmbeddedSetup(Func<PooledDataSource, CancellationToken, Task> RunAsync);
