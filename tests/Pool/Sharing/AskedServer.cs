using System.Threading.Channels;

namespace UPool.Tests.Sharing;

/// <summary>The server's side of a shared read: each query is held until the test answers it.</summary>
/// <typeparam name="TKey">The type of the key.</typeparam>
internal sealed class AskedServer<TKey>
    where TKey : notnull, IEquatable<TKey>
{
    private readonly Channel<Asked<TKey>> _arrived = Channel.CreateUnbounded<Asked<TKey>>();
    private int _count;

    /// <summary>The state that a query reads when its statement arrives.</summary>
    public Func<string>? State { get; init; }

    /// <summary>The number of queries so far.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Waits for the next query.</summary>
    public Task<Asked<TKey>> NextAsync() => _arrived.Reader.ReadAsync().AsTask();

    /// <summary>The query delegate of a shared read.</summary>
    public Task<string> AskAsync(PooledConnection connection, TKey key, CancellationToken token) =>
        ArriveAsync(new Asked<TKey>(connection, [key], token));

    /// <summary>The query delegate of a shared look-up. Every key has a row, except keys whose text begins with
    /// '-'.</summary>
    public async Task<IReadOnlyDictionary<TKey, string>> LookUpAsync(
        PooledConnection connection, IReadOnlyList<TKey> keys, CancellationToken token)
    {
        string answer = await ArriveAsync(new Asked<TKey>(connection, keys, token));
        return keys.Distinct().Where(static key => !key.ToString()!.StartsWith('-'))
            .ToDictionary(static key => key, key => $"{answer}{key}");
    }

    private async Task<string> ArriveAsync(Asked<TKey> asked)
    {
        Interlocked.Increment(ref _count);
        asked.Seen = State?.Invoke() ?? "";
        _arrived.Writer.TryWrite(asked);
        return await asked.Answer.Task;
    }
}

/// <summary>A query that waits for its answer.</summary>
internal sealed record Asked<TKey>(PooledConnection Connection, IReadOnlyList<TKey> Keys, CancellationToken Token)
{
    /// <summary>The state at its arrival.</summary>
    public string Seen { get; set; } = "";

    public TaskCompletionSource<string> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}
