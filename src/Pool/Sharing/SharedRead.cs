using System.Collections.Concurrent;

using UPool.Sharing;

namespace UPool;

/// <summary>A shared read of one statement: callers with the same question share its askings.</summary>
/// <inheritdoc/>
public sealed class SharedRead<TKey, TAnswer> : SharedQuery<TKey, TAnswer>
    where TKey : notnull, IEquatable<TKey>
{
    // One for each question that somebody waits for. Each has a rent under way, so the pool's MaxPending bounds them.
    private readonly ConcurrentDictionary<TKey, AskingLine<TKey, TAnswer>> _lines = new();
    private readonly Func<PooledConnection, TKey, CancellationToken, Task<TAnswer>> _ask;

    /// <summary>Makes one; keep it as long as the pool.</summary>
    /// <param name="name">What to call it in metrics and reports.</param>
    /// <param name="pool">Where it is asked.</param>
    /// <param name="ask">Asks: reads and changes nothing, outside transactions. It gets the connection, the question
    /// and a token that is cancelled when nobody waits any more.</param>
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
    }

    /// <summary>How many questions somebody waits for.</summary>
    internal int LineCount => _lines.Count;

    internal override async Task AskAsync(
        PooledConnection connection, AnswerSet<TKey, TAnswer> answers, CancellationToken token)
    {
        TKey question = answers.Keys[0];
        answers.Add(question, await _ask(connection, question, token).ConfigureAwait(false));
    }

    private protected override ValueTask<SharedAnswer<TAnswer>> JoinAsync(
        TKey key, Deadline deadline, CancellationToken token)
    {
        while (true)
        {
            AskingLine<TKey, TAnswer> line = _lines.GetOrAdd(
                key,
                static (key, read) => new AskingLine<TKey, TAnswer>(
                    read, line => read._lines.TryRemove(KeyValuePair.Create(key, line))),
                this);

            if (line.TryJoin(key, deadline, token, out ValueTask<SharedAnswer<TAnswer>> answer)) return answer;

            // Its last caller has just been answered: it is being taken down, and not waited for here.
            _lines.TryRemove(KeyValuePair.Create(key, line));
        }
    }

    private protected override Task<TAnswer?> AskOneAsync(
        PooledConnection connection, TKey key, CancellationToken token) => _ask(connection, key, token)!;
}
