using UPool.Sharing;

namespace UPool;

/// <summary>A shared read of one statement: callers with the same key share its read batches.</summary>
/// <inheritdoc/>
public sealed class SharedRead<TKey, TAnswer> : SharedQuery<TKey, TAnswer>
    where TKey : notnull, IEquatable<TKey>
{
    // Each queue has a rent under way, so the pool's MaxPending bounds their number.
    private readonly ReadBatchQueues<TKey, SharedAnswer<TAnswer>> _queues;
    private readonly Func<PooledConnection, TKey, CancellationToken, Task<TAnswer>> _ask;

    /// <summary>Creates a shared read; keep it as long as the pool.</summary>
    /// <param name="name">The name in metrics and in the report of a rent held too long.</param>
    /// <param name="pool">The pool to rent from.</param>
    /// <param name="ask">The query: reads only, outside transactions. It gets the connection, the key and a token that
    /// is cancelled when no caller waits any more.</param>
    public SharedRead(
        string name, PooledDataSource pool, Func<PooledConnection, TKey, CancellationToken, Task<TAnswer>> ask)
        : this(name, pool, select: null, ask)
    {
    }

    /// <summary>The same on no-reset rents.</summary>
    internal SharedRead(
        string name,
        PooledDataSource pool,
        FixedSelect? select,
        Func<PooledConnection, TKey, CancellationToken, Task<TAnswer>> ask)
        : base(name, pool, select)
    {
        ArgumentNullException.ThrowIfNull(ask);
        _ask = ask;
        _queues = new ReadBatchQueues<TKey, SharedAnswer<TAnswer>>(this);
    }

    /// <summary>The number of keys with waiting callers.</summary>
    internal int QueueCount => _queues.Count;

    internal override async Task AskAsync(
        PooledConnection connection, BatchAnswers<TKey, SharedAnswer<TAnswer>> answers, CancellationToken token)
    {
        TKey question = answers.Keys[0];
        TAnswer answer = await _ask(connection, question, token).ConfigureAwait(false);
        answers.Add(question, new SharedAnswer<TAnswer>(answer));
    }

    private protected override ValueTask<SharedAnswer<TAnswer>> JoinAsync(
        TKey key, Deadline deadline, CancellationToken token) => _queues.JoinAsync(key, deadline, token);

    private protected override Task<TAnswer?> AskOneAsync(
        PooledConnection connection, TKey key, CancellationToken token) => _ask(connection, key, token)!;
}
