using System.Collections.Concurrent;

namespace UPool.Sharing;

/// <summary>A queue of read batches for each key with waiting callers. The bound on concurrent callers bounds the
/// queues too.</summary>
internal sealed class ReadBatchQueues<TKey, TAnswer>(IBatchedRead<TKey, TAnswer> read)
    where TKey : notnull, IEquatable<TKey>
{
    private readonly ConcurrentDictionary<TKey, ReadBatchQueue<TKey, TAnswer>> _queues = new();

    /// <summary>The number of keys with waiting callers.</summary>
    public int Count => _queues.Count;

    /// <summary>Joins the queue of a key.</summary>
    public ValueTask<TAnswer> JoinAsync(TKey key, Deadline deadline, CancellationToken token)
    {
        while (true)
        {
            ReadBatchQueue<TKey, TAnswer> queue = _queues.GetOrAdd(
                key,
                static (key, queues) => new ReadBatchQueue<TKey, TAnswer>(
                    queues.Read, queue => queues._queues.TryRemove(KeyValuePair.Create(key, queue))),
                this);

            if (queue.TryJoin(key, deadline, token, out ValueTask<TAnswer> answer)) return answer;

            // Its last caller was just answered, and the queue is being removed: do not wait for that here.
            _queues.TryRemove(KeyValuePair.Create(key, queue));
        }
    }

    private IBatchedRead<TKey, TAnswer> Read => read;
}
