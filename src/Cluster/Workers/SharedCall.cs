namespace UPool.Cluster.Workers;

/// <summary>
/// A read of a worker that is called once for all callers in this process that want it at the same time: a thousand
/// requests with one question are two calls at a time. Made by <see cref="WorkerClient{TGrain}.Share"/> and
/// <see cref="WorkerClient{TGrain}.ShareLookup"/>; keep it as long as the client.
/// </summary>
/// <remarks>
/// A caller that comes while a call is under way joins the <b>next</b> one, so that no answer is older than its
/// caller's arrival (INV-10). A call's deadline is the latest of its callers'. A caller that leaves, or whose own
/// deadline passes, leaves alone; when the last one has left, the call is cancelled. The outcome of a call reaches all
/// its callers. A call carries the context of the caller that started it (its trace, its request context), so anything
/// that tells callers apart must not be read from there: it belongs in the key.
/// </remarks>
/// <typeparam name="TKey">The key: everything that the answer depends on.</typeparam>
/// <typeparam name="T">The answer: one object for all callers, which none of them may change.</typeparam>
public sealed class SharedCall<TKey, T>
    where TKey : notnull, IEquatable<TKey>
{
    private readonly SharedCalls _calls;
    private readonly Func<TKey, Deadline, CancellationToken, Task<Reply<T>>> _callAlone;
    private readonly Func<TKey, Deadline, CancellationToken, ValueTask<Reply<T>>> _join;

    internal SharedCall(
        SharedCalls calls,
        Func<TKey, Deadline, CancellationToken, Task<Reply<T>>> callAlone,
        Func<TKey, Deadline, CancellationToken, ValueTask<Reply<T>>> join)
    {
        _calls = calls;
        _callAlone = callAlone;
        _join = join;
    }

    /// <summary>Calls, together with other callers of the same key; alone if <see cref="ReadOptions.Shared"/> is off in
    /// this process.</summary>
    /// <param name="key">The key.</param>
    /// <param name="deadline">When this caller's answer is due.</param>
    /// <param name="cancellationToken">Cancelled when this caller has gone.</param>
    /// <exception cref="OperationCanceledException">The caller has gone.</exception>
    public ValueTask<Reply<T>> ReadAsync(TKey key, Deadline deadline, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<Reply<T>>(cancellationToken);
        if (!_calls.IsShared) return new ValueTask<Reply<T>>(_callAlone(key, deadline, cancellationToken));

        return deadline.HasPassed(_calls.Clock)
            ? new ValueTask<Reply<T>>(BatchedCall<TKey, T>.NotSent(RefusalReason.TimedOut))
            : _join(key, deadline, cancellationToken);
    }
}
