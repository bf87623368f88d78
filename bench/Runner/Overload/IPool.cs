namespace UPool.Bench.Runner.Overload;

/// <summary>A pool, as the measurements see it: one piece of work on a rented connection, or a refusal.</summary>
internal interface IPool : IAsyncDisposable
{
    /// <summary>What tables call it.</summary>
    string Name { get; }

    /// <summary>Runs one statement; false when no connection was to be had in time.</summary>
    Task<bool> TryExecuteAsync(string statement);
}
