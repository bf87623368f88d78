namespace UPool.Bench.Runner.Overload;

/// <summary>A pool as the measurements see it: runs one statement on a rented connection, or refuses.</summary>
internal interface IPool : IAsyncDisposable
{
    /// <summary>The pool's name in tables.</summary>
    string Name { get; }

    /// <summary>Runs one statement; false if no connection was available in time.</summary>
    Task<bool> TryExecuteAsync(string statement);
}
