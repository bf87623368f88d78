using UPool.Core;
using UPool.Sharing;

namespace UPool;

/// <summary>
/// A read that is asked once for all who want it at the same time. Who comes while it is being asked joins the
/// <b>next</b> asking, never the running one, so that each answer shows a state no older than its caller's arrival
/// (INV-10).
/// </summary>
/// <remarks>
/// Each asking rents a connection of its own, in autocommit: never ask inside a transaction. Its deadline is its latest
/// caller's; a caller whose own deadline passes, or who leaves, leaves alone, and with the last one the statement is
/// ended on the server. A failure reaches all who shared it.
/// </remarks>
/// <typeparam name="TKey">What tells one question from another: every parameter must be in it.</typeparam>
/// <typeparam name="TAnswer">The answer: one object for all who shared it, which nobody may change.</typeparam>
public abstract class SharedQuery<TKey, TAnswer> : IAsked<TKey, SharedAnswer<TAnswer>>
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

    /// <summary>What it is called in metrics and in the report of a rent held too long.</summary>
    public string Name { get; }

    /// <summary>Whether callers share askings. Default true; false: each caller asks for himself.</summary>
    public bool IsShared { get; init; } = true;

    internal ConnectionPool Pool => Source.Pool;

    TimeProvider IAsked<TKey, SharedAnswer<TAnswer>>.Clock => Pool.Clock;

    DeadlineWheel IAsked<TKey, SharedAnswer<TAnswer>>.Wheel => Pool.Wheel;

    long IAsked<TKey, SharedAnswer<TAnswer>>.GraceTicks => 0;

    private protected PooledDataSource Source { get; }

    /// <summary>Asks, together with whoever asks the same.</summary>
    /// <param name="key">The question.</param>
    /// <param name="deadline">When this caller's answer is due.</param>
    /// <param name="cancellationToken">This caller's.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="DeadlineExceededException">The statement was sent, and did not end by this caller's
    /// deadline.</exception>
    public ValueTask<SharedAnswer<TAnswer>> AskAsync(
        TKey key, Deadline deadline = default, CancellationToken cancellationToken = default)
    {
        if (!IsShared) return AskAloneAsync(key, deadline, cancellationToken);
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<SharedAnswer<TAnswer>>(cancellationToken);

        return deadline.HasPassed(Pool.Clock)
            ? new ValueTask<SharedAnswer<TAnswer>>(Refused(RefusalReason.TimedOut))
            : JoinAsync(key, deadline, cancellationToken);
    }

    async Task IAsked<TKey, SharedAnswer<TAnswer>>.AskAsync(
        Asking<TKey, SharedAnswer<TAnswer>> asking, CancellationToken abandoned)
    {
        // The deadlines of those who may still join are not known; the rent timeout bounds it.
        RentOutcome rent = await RentAsync(Deadline.None, abandoned).ConfigureAwait(false);
        if (rent.Refusal is { } refusal)
        {
            asking.Refuse(new SharedAnswer<TAnswer>(refusal));
            return;
        }

        using var connection = new PooledConnection(Pool, rent, Deadline.None);
        AnswerSet<TKey, SharedAnswer<TAnswer>> answers = asking.Close(out Deadline deadline);
        connection.Deadline = deadline;
        if (answers.Keys.Count > 0) await AskAsync(connection, answers, abandoned).ConfigureAwait(false);
    }

    SharedAnswer<TAnswer> IAsked<TKey, SharedAnswer<TAnswer>>.Refused(RefusalReason reason) => Refused(reason);

    void IAsked<TKey, SharedAnswer<TAnswer>>.TellLate(AskingCaller<TKey, SharedAnswer<TAnswer>> caller) =>
        caller.Fail(new DeadlineExceededException(
            $"Pool '{Pool.Options.Name}': the read did not end by its deadline."));

    void IAsked<TKey, SharedAnswer<TAnswer>>.TellNothing(AskingCaller<TKey, SharedAnswer<TAnswer>> caller) =>
        caller.Complete(new SharedAnswer<TAnswer>(default(TAnswer)));

    void IAsked<TKey, SharedAnswer<TAnswer>>.OnAsked(int callers) => Pool.Telemetry.OnAsked(Name, callers);

    /// <summary>Rents for an asking.</summary>
    internal ValueTask<RentOutcome> RentAsync(Deadline deadline, CancellationToken token) =>
        Pool.RentAsync(deadline, token, new RentPlace(Name), _select);

    /// <summary>Asks for all keys of a batch.</summary>
    internal abstract Task AskAsync(
        PooledConnection connection, AnswerSet<TKey, SharedAnswer<TAnswer>> answers, CancellationToken token);

    private protected abstract ValueTask<SharedAnswer<TAnswer>> JoinAsync(
        TKey key, Deadline deadline, CancellationToken token);

    private protected abstract Task<TAnswer?> AskOneAsync(
        PooledConnection connection, TKey key, CancellationToken token);

    private SharedAnswer<TAnswer> Refused(RefusalReason reason) => new(Pool.Describe(reason));

    private async ValueTask<SharedAnswer<TAnswer>> AskAloneAsync(TKey key, Deadline deadline, CancellationToken token)
    {
        RentOutcome rent = await RentAsync(deadline, token).ConfigureAwait(false);
        if (rent.Refusal is { } refusal) return new SharedAnswer<TAnswer>(refusal);

        using var connection = new PooledConnection(Pool, rent, deadline);
        return new SharedAnswer<TAnswer>(await AskOneAsync(connection, key, token).ConfigureAwait(false));
    }
}
