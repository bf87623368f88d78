using System.Collections.Concurrent;

namespace UPool.Sharing;

/// <summary>A queue of read batches for each key with waiting callers. The bound on concurrent callers bounds the
/// queues too.</summary>
internal sealed class AskingLines<TKey, TAnswer>(IAsked<TKey, TAnswer> asked)
    where TKey : notnull, IEquatable<TKey>
{
    private readonly ConcurrentDictionary<TKey, AskingLine<TKey, TAnswer>> _lines = new();

    /// <summary>The number of keys with waiting callers.</summary>
    public int Count => _lines.Count;

    /// <summary>Joins the queue of a key.</summary>
    public ValueTask<TAnswer> JoinAsync(TKey key, Deadline deadline, CancellationToken token)
    {
        while (true)
        {
            AskingLine<TKey, TAnswer> line = _lines.GetOrAdd(
                key,
                static (key, lines) => new AskingLine<TKey, TAnswer>(
                    lines.Asked, line => lines._lines.TryRemove(KeyValuePair.Create(key, line))),
                this);

            if (line.TryJoin(key, deadline, token, out ValueTask<TAnswer> answer)) return answer;

            // Its last caller was just answered, and the queue is being removed: do not wait for that here.
            _lines.TryRemove(KeyValuePair.Create(key, line));
        }
    }

    private IAsked<TKey, TAnswer> Asked => asked;
}
