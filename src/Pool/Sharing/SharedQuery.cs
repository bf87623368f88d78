using UPool.Core;
using UPool.Sharing;

namespace UPool;

/// <summary>
/// A read executed once for all callers that want it at the same time. A caller that arrives while the read runs joins
/// the <b>next</b> read batch, never the running one, so that each answer shows a state no older than its caller's
/// arrival (INV-10).
/// </summary>
/// <remarks>
/// Each read batch rents its own connection, in autocommit: do not use it inside a transaction. Its deadline is the
/// latest of its callers'. A caller that is cancelled or whose deadline passes leaves without affecting the others;
/// when the last one leaves, the statement is ended on the server. A failure reaches all callers of the batch.
/// </remarks>
/// <typeparam name="TKey">The key that tells one read from another: it must include every parameter.</typeparam>
/// <typeparam name="TAnswer">The answer: one object for all callers of the batch, which must not change it.</typeparam>
public abstract class SharedQuery<TKey, TAnswer> : IBatchedRead<TKey, SharedAnswer<TAnswer>>
    where TKey : notnull, IEquatable<TKey>
{
    private readonly FixedSelect? _select;

    private protected SharedQuery(string name, PooledDataSource source, FixedSelect? select)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(source);
        Name = name;
        Source = source;
        _select = select;
    }

    /// <summary>The name in metrics and in the report of a rent held too long.</summary>
    public string Name { get; }

    /// <summary>Whether callers share read batches. Default true; if false, each caller has its own query.</summary>
    public bool IsShared { get; init; } = true;

    internal ConnectionPool Pool => Source.Pool;

    TimeProvider IBatchedRead<TKey, SharedAnswer<TAnswer>>.Clock => Pool.Clock;

    DeadlineWheel IBatchedRead<TKey, SharedAnswer<TAnswer>>.Wheel => Pool.Wheel;

    long IBatchedRead<TKey, SharedAnswer<TAnswer>>.GraceTicks => 0;

    private protected PooledDataSource Source { get; }

    /// <summary>Reads, in one batch with the other callers that ask at the same time.</summary>
    /// <param name="key">The key.</param>
    /// <param name="deadline">When this caller's answer is due.</param>
    /// <param name="cancellationToken">Cancels this caller only.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="DeadlineExceededException">The statement was sent, and did not end by this caller's
    /// deadline.</exception>
    public ValueTask<SharedAnswer<TAnswer>> AskAsync(
        TKey key, Deadline deadline = default, CancellationToken cancellationToken = default)
    {
        if (!IsShared) return ReadAloneAsync(key, deadline, cancellationToken);
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<SharedAnswer<TAnswer>>(cancellationToken);

        return deadline.HasPassed(Pool.Clock)
            ? new ValueTask<SharedAnswer<TAnswer>>(Refused(RefusalReason.TimedOut))
            : JoinAsync(key, deadline, cancellationToken);
    }

    async Task IBatchedRead<TKey, SharedAnswer<TAnswer>>.AskAsync(
        ReadBatch<TKey, SharedAnswer<TAnswer>> batch, CancellationToken abandoned)
    {
        // Later callers may still join, and their deadlines are unknown; the rent timeout bounds the rent.
        RentOutcome rent = await RentAsync(Deadline.None, abandoned).ConfigureAwait(false);
        if (rent.Refusal is { } refusal)
        {
            batch.Refuse(new SharedAnswer<TAnswer>(refusal));
            return;
        }

        using var connection = new PooledConnection(Pool, rent, Deadline.None);
        BatchAnswers<TKey, SharedAnswer<TAnswer>> answers = batch.Close(out Deadline deadline);
        connection.Deadline = deadline;
        if (answers.Keys.Count > 0) await AskAsync(connection, answers, abandoned).ConfigureAwait(false);
    }

    SharedAnswer<TAnswer> IBatchedRead<TKey, SharedAnswer<TAnswer>>.Refused(RefusalReason reason) => Refused(reason);

    void IBatchedRead<TKey, SharedAnswer<TAnswer>>.FailLate(ReadBatchCaller<TKey, SharedAnswer<TAnswer>> caller) =>
        caller.Fail(new DeadlineExceededException(
            $"Pool '{Pool.Options.Name}': the read did not end by its deadline."));

    void IBatchedRead<TKey, SharedAnswer<TAnswer>>.CompleteWithoutResult(
        ReadBatchCaller<TKey, SharedAnswer<TAnswer>> caller) =>
        caller.Complete(new SharedAnswer<TAnswer>(default(TAnswer)));

    void IBatchedRead<TKey, SharedAnswer<TAnswer>>.OnBatchEnded(int callers) =>
        Pool.Telemetry.OnBatchEnded(Name, callers);

    /// <summary>Rents for a read batch.</summary>
    internal ValueTask<RentOutcome> RentAsync(Deadline deadline, CancellationToken token) =>
        Pool.RentAsync(deadline, token, new RentPlace(Name), _select);

    /// <summary>Reads all keys of a batch.</summary>
    internal abstract Task AskAsync(
        PooledConnection connection, BatchAnswers<TKey, SharedAnswer<TAnswer>> answers, CancellationToken token);

    private protected abstract ValueTask<SharedAnswer<TAnswer>> JoinAsync(
        TKey key, Deadline deadline, CancellationToken token);

    private protected abstract Task<TAnswer?> AskOneAsync(
        PooledConnection connection, TKey key, CancellationToken token);

    private SharedAnswer<TAnswer> Refused(RefusalReason reason) => new(Pool.Describe(reason));

    private async ValueTask<SharedAnswer<TAnswer>> ReadAloneAsync(TKey key, Deadline deadline, CancellationToken token)
    {
        RentOutcome rent = await RentAsync(deadline, token).ConfigureAwait(false);
        if (rent.Refusal is { } refusal) return new SharedAnswer<TAnswer>(refusal);

        using var connection = new PooledConnection(Pool, rent, deadline);
        return new SharedAnswer<TAnswer>(await AskOneAsync(connection, key, token).ConfigureAwait(false));
    }
}
