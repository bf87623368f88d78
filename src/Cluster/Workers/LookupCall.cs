using UPool.Sharing;

namespace UPool.Cluster.Workers;

/// <summary>Look-ups by key: one call for the keys that arrive together.</summary>
internal sealed class LookupCall<TKey, T>(
    SharedCalls calls,
    string name,
    Func<TKey, Deadline, CancellationToken, Task<Reply<T>>> callOne,
    Func<TKey[], Deadline, CancellationToken, Task<Reply<T?[]>>> callMany)
    : BatchedCall<TKey, T>(calls, name)
    where TKey : notnull, IEquatable<TKey>
    where T : class
{
    // The most keys that become one statement in the silo.
    private const int MaxKeys = SharedLookup<TKey, T>.MaxKeys;

    protected override async Task CallAsync(
        BatchAnswers<TKey, Reply<T>> answers, Deadline deadline, CancellationToken cancellationToken)
    {
        for (int start = 0; start < answers.Keys.Count; start += MaxKeys)
        {
            List<TKey> keys = answers.Keys.GetRange(start, Math.Min(MaxKeys, answers.Keys.Count - start));
            if (await TryCallAsync(answers, keys, isLast: keys.Count == 1, deadline, cancellationToken)) continue;

            // Split once, so that one key that the database fails does not fail all of the others.
            int half = keys.Count / 2;
            await TryCallAsync(answers, keys[..half], isLast: true, deadline, cancellationToken);
            await TryCallAsync(answers, keys[half..], isLast: true, deadline, cancellationToken);
        }
    }

    // False if the database failed the statement and this is not the last try.
    private async Task<bool> TryCallAsync(
        BatchAnswers<TKey, Reply<T>> answers,
        List<TKey> keys,
        bool isLast,
        Deadline deadline,
        CancellationToken cancellationToken)
    {
        Reply<T?[]> reply = await callMany([.. keys], deadline, cancellationToken);
        if (reply is { Status: ReplyStatus.Failed, Detail: WorkerFailures.UnknownCall })
        {
            // The silo's version is too old for calls with many keys. It knows the call for one.
            Reply<T>[] replies = await Task.WhenAll(keys.Select(key => callOne(key, deadline, cancellationToken)));
            for (int i = 0; i < replies.Length; i++) answers.Add(keys[i], replies[i]);
            return true;
        }

        if (reply.Status == ReplyStatus.Failed && !isLast) return false;

        if (reply.Status != ReplyStatus.Ok)
        {
            var failed = new Reply<T> { Status = reply.Status, Refusal = reply.Refusal, Detail = reply.Detail };
            foreach (TKey key in keys) answers.Add(key, failed);
            return true;
        }

        if (reply.Value is not { } rows || rows.Length != keys.Count)
        {
            throw new InvalidOperationException(
                $"bug: {keys.Count} keys were answered with {reply.Value?.Length ?? 0} rows.");
        }

        for (int i = 0; i < rows.Length; i++)
            answers.Add(keys[i], rows[i] is { } row ? Reply.Ok(row) : Reply.NotFound<T>());
        return true;
    }
}
