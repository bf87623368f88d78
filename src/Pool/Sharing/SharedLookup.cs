using System.Data.Common;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

using UPool.Core;
using UPool.Sharing;

namespace UPool;

/// <summary>A shared look-up of rows by key: keys that arrive together become one statement.</summary>
/// <remarks>
/// A text key may be spelled differently from its row: to the server 'Ann', 'ann' and 'ann ' may be one key. A key
/// without a row of its exact spelling gets the answer that it would get alone. That takes more statements: one for all
/// such keys when other keys have rows, and at most three for each key spelled differently. A dictionary of rows whose
/// comparer follows the column's collation needs none of them.
/// </remarks>
/// <typeparam name="TKey">The key.</typeparam>
/// <typeparam name="TRow">The row; a key without a row gets null.</typeparam>
/// <inheritdoc/>
public sealed class SharedLookup<TKey, TRow> : SharedQuery<TKey, TRow>
    where TKey : notnull, IEquatable<TKey>
    where TRow : class
{
    /// <summary>The most keys in one statement: 256. More save little, and a long list may make the server
    /// scan.</summary>
    public const int MaxKeys = 256;

    private readonly ReadBatchQueue<TKey, SharedAnswer<TRow>> _queue;
    private readonly Func<PooledConnection, IReadOnlyList<TKey>, CancellationToken,
        Task<IReadOnlyDictionary<TKey, TRow>>> _ask;

    // Indexed by the binary logarithm of the number of keys; null for ordinary rents.
    private readonly FixedSelect[]? _selects;

    /// <summary>Creates a look-up; keep it as long as the pool.</summary>
    /// <param name="name">The name in metrics and in the report of a rent held too long.</param>
    /// <param name="pool">The pool to rent from.</param>
    /// <param name="ask">
    /// The look-up: reads only, outside transactions. It gets the connection, the keys and a token that is cancelled
    /// when no caller waits any more, and returns the rows that exist, under the keys as the server stores them. The
    /// number of keys is a power of two, at most <see cref="MaxKeys"/>, so that there are few statement texts; the last
    /// key may be repeated.
    /// </param>
    public SharedLookup(
        string name,
        PooledDataSource pool,
        Func<PooledConnection, IReadOnlyList<TKey>, CancellationToken, Task<IReadOnlyDictionary<TKey, TRow>>> ask)
        : this(name, pool, selects: null, ask)
    {
    }

    /// <summary>The same on no-reset rents.</summary>
    /// <param name="name">The name in metrics and reports.</param>
    /// <param name="pool">The pool to rent from.</param>
    /// <param name="selects">The statements for 1, 2, 4 and so on up to <see cref="MaxKeys"/> keys.</param>
    /// <param name="ask">The look-up.</param>
    internal SharedLookup(
        string name,
        PooledDataSource pool,
        FixedSelect[]? selects,
        Func<PooledConnection, IReadOnlyList<TKey>, CancellationToken, Task<IReadOnlyDictionary<TKey, TRow>>> ask)
        : base(name, pool, selects?[0])
    {
        ArgumentNullException.ThrowIfNull(ask);
        _selects = selects;
        _ask = ask;
        _queue = new ReadBatchQueue<TKey, SharedAnswer<TRow>>(this, onIdle: null);
    }

    /// <summary>
    /// Looks up keys that the caller has already gathered, in one statement: no other caller joins it, and no key waits
    /// for another batch.
    /// </summary>
    /// <param name="keys">The keys, 1 to <see cref="MaxKeys"/> of them.</param>
    /// <param name="deadline">When the answer is due.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>The rows in the order of the keys; null for a key without a row.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are no keys, or too many.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="DeadlineExceededException">The statement was sent, and did not end by the deadline.</exception>
    public async ValueTask<SharedAnswer<TRow?[]>> AskManyAsync(
        IReadOnlyList<TKey> keys, Deadline deadline = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(keys);
        ArgumentOutOfRangeException.ThrowIfZero(keys.Count, nameof(keys));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keys.Count, MaxKeys, nameof(keys));
        RentOutcome rent = await RentAsync(deadline, cancellationToken).ConfigureAwait(false);
        if (rent.Refusal is { } refusal) return new SharedAnswer<TRow?[]>(refusal);

        using var connection = new PooledConnection(Pool, rent, deadline);
        var answers = new BatchAnswers<TKey, SharedAnswer<TRow>>([.. keys.Distinct()]);
        await AskAsync(connection, answers, cancellationToken).ConfigureAwait(false);
        var rows = new TRow?[keys.Count];
        for (int i = 0; i < rows.Length; i++)
        {
            if (answers.FailureOf(keys[i]) is { } failure) ExceptionDispatchInfo.Throw(failure);
            if (answers.TryGet(keys[i], out SharedAnswer<TRow> answer)) rows[i] = answer.Value;
        }

        return new SharedAnswer<TRow?[]>(rows);
    }

    // Keys without references (numbers and the like) have only one spelling.
    private static bool KeysHaveSpellings => RuntimeHelpers.IsReferenceOrContainsReferences<TKey>();

    internal override async Task AskAsync(
        PooledConnection connection, BatchAnswers<TKey, SharedAnswer<TRow>> answers, CancellationToken token)
    {
        for (int start = 0; start < answers.Keys.Count; start += MaxKeys)
        {
            int count = Math.Min(MaxKeys, answers.Keys.Count - start);
            try
            {
                await AskAsync(connection, answers, answers.Keys, start, count, token).ConfigureAwait(false);
            }
            catch (DbException exception) when (count > 1 && IsOfStatement(exception))
            {
                // Split once: a key for which the server reports an error must not fail all the others.
                int half = count / 2;
                await AskHalfAsync(connection, answers, start, half, token).ConfigureAwait(false);
                await AskHalfAsync(connection, answers, start + half, count - half, token).ConfigureAwait(false);
            }
        }
    }

    private protected override ValueTask<SharedAnswer<TRow>> JoinAsync(
        TKey key, Deadline deadline, CancellationToken token) => _queue.JoinAsync(key, deadline, token);

    private protected override async Task<TRow?> AskOneAsync(
        PooledConnection connection, TKey key, CancellationToken token)
    {
        IReadOnlyDictionary<TKey, TRow> rows = await _ask(connection, [key], token).ConfigureAwait(false);
        if (rows.TryGetValue(key, out TRow? row) || !KeysHaveSpellings || rows.Count == 0) return row;

        return rows.Count == 1 ? rows.Values.First() : throw SeveralRows(rows.Count);
    }

    private async Task AskHalfAsync(
        PooledConnection connection,
        BatchAnswers<TKey, SharedAnswer<TRow>> answers,
        int start,
        int count,
        CancellationToken token)
    {
        try
        {
            await AskAsync(connection, answers, answers.Keys, start, count, token).ConfigureAwait(false);
        }
        catch (DbException exception) when (IsOfStatement(exception))
        {
            for (int i = start; i < start + count; i++) answers.Fail(answers.Keys[i], exception);
        }
    }

    private async Task AskAsync(
        PooledConnection connection,
        BatchAnswers<TKey, SharedAnswer<TRow>> answers,
        List<TKey> wanted,
        int start,
        int count,
        CancellationToken token)
    {
        var keys = new TKey[BitOperations.RoundUpToPowerOf2((uint)count)];
        for (int i = 0; i < keys.Length; i++) keys[i] = wanted[start + Math.Min(i, count - 1)];
        if (_selects is not null) connection.Physical.Select = _selects[BitOperations.Log2((uint)keys.Length)];

        IReadOnlyDictionary<TKey, TRow> rows = await _ask(connection, keys, token).ConfigureAwait(false);
        List<TKey>? others = null;
        for (int i = 0; i < count; i++)
        {
            if (rows.TryGetValue(keys[i], out TRow? row)) answers.Add(keys[i], new SharedAnswer<TRow>(row));
            else if (KeysHaveSpellings && rows.Count > 0) (others ??= []).Add(keys[i]);
        }

        if (others is null) return;

        if (count == 1)
        {
            if (rows.Count == 1) answers.Add(keys[0], new SharedAnswer<TRow>(rows.Values.First()));
            else answers.Fail(keys[0], SeveralRows(rows.Count));
        }
        else if (others.Count < count)
        {
            // The rows cannot be assigned to these keys: look the keys up without the others.
            await AskAsync(connection, answers, others, 0, others.Count, token).ConfigureAwait(false);
        }
        else
        {
            // Halve until one key alone has a row, or several keys have none.
            int half = count / 2;
            await AskAsync(connection, answers, others, 0, half, token).ConfigureAwait(false);
            await AskAsync(connection, answers, others, half, count - half, token).ConfigureAwait(false);
        }
    }

    // The message omits the key: it is the caller's data and must not reach a log.
    private InvalidOperationException SeveralRows(int count) => new(
        $"Look-up '{Name}': one key returned {count} rows, none with its exact spelling. The column must be unique, "
        + "and the look-up must return only rows of the requested keys.");

    private bool IsOfStatement(DbException exception) => Source.Classify(exception) == FailureKind.StatementFailed;
}
