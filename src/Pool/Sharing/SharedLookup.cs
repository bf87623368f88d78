using System.Data.Common;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

using UPool.Core;
using UPool.Sharing;

namespace UPool;

/// <summary>A shared look-up of rows by their key: those that arrive together become one statement.</summary>
/// <remarks>
/// A text may be spelled otherwise than in its row: to the server 'Ann', 'ann' and 'ann ' may be one key. A key without
/// a row of its own spelling is answered as if it had been asked alone. That takes more statements: one for all such
/// keys when there are rows for others, and at most three for each key that is spelled otherwise. Rows in a dictionary
/// with a comparer that goes by the column's collation need none of them.
/// </remarks>
/// <typeparam name="TKey">The key.</typeparam>
/// <typeparam name="TRow">The row; null answers a key without one.</typeparam>
/// <inheritdoc/>
public sealed class SharedLookup<TKey, TRow> : SharedQuery<TKey, TRow>
    where TKey : notnull, IEquatable<TKey>
    where TRow : class
{
    /// <summary>The most keys in one statement: 256. More save little, and a long list may make the server
    /// scan.</summary>
    public const int MaxKeys = 256;

    private readonly AskingLine<TKey, SharedAnswer<TRow>> _line;
    private readonly Func<PooledConnection, IReadOnlyList<TKey>, CancellationToken,
        Task<IReadOnlyDictionary<TKey, TRow>>> _ask;

    // By the binary logarithm of the number of keys; null for ordinary rents.
    private readonly FixedSelect[]? _selects;

    /// <summary>Makes one; keep it as long as the pool.</summary>
    /// <param name="name">What to call it in metrics and reports.</param>
    /// <param name="pool">Where it is asked.</param>
    /// <param name="ask">
    /// Looks up: reads and changes nothing, outside transactions. It gets the connection, the keys and a token that is
    /// cancelled when nobody waits any more, and answers with the rows that exist. The number of keys is a power of
    /// two, at most <see cref="MaxKeys"/>, so that there are few texts of statements: the last key may be repeated. The
    /// rows go by their own keys, as the server has them.
    /// </param>
    public SharedLookup(
        string name,
        PooledDataSource pool,
        Func<PooledConnection, IReadOnlyList<TKey>, CancellationToken, Task<IReadOnlyDictionary<TKey, TRow>>> ask)
        : this(name, pool, selects: null, ask)
    {
    }

    /// <summary>The same on no-reset rents.</summary>
    /// <param name="name">What to call it.</param>
    /// <param name="pool">Where it is asked.</param>
    /// <param name="selects">The statements for 1, 2, 4 and so on up to <see cref="MaxKeys"/> keys.</param>
    /// <param name="ask">Looks up.</param>
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
        _line = new AskingLine<TKey, SharedAnswer<TRow>>(this, onIdle: null);
    }

    /// <summary>
    /// Looks up keys that somebody has gathered already, in one statement of their own: nobody else joins it, and none
    /// of the keys waits for another asking.
    /// </summary>
    /// <param name="keys">The keys, 1 to <see cref="MaxKeys"/> of them.</param>
    /// <param name="deadline">When the answer is due.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>The rows in the order of the keys, with null for a key without one.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too many keys, or none.</exception>
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
        var answers = new AnswerSet<TKey, SharedAnswer<TRow>>([.. keys.Distinct()]);
        await AskAsync(connection, answers, cancellationToken).ConfigureAwait(false);
        var rows = new TRow?[keys.Count];
        for (int i = 0; i < rows.Length; i++)
        {
            if (answers.FailureOf(keys[i]) is { } failure) ExceptionDispatchInfo.Throw(failure);
            if (answers.TryGet(keys[i], out SharedAnswer<TRow> answer)) rows[i] = answer.Value;
        }

        return new SharedAnswer<TRow?[]>(rows);
    }

    // Numbers and the like are equal or they are not.
    private static bool HasSpellings => RuntimeHelpers.IsReferenceOrContainsReferences<TKey>();

    internal override async Task AskAsync(
        PooledConnection connection, AnswerSet<TKey, SharedAnswer<TRow>> answers, CancellationToken token)
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
                // Split once: one key that the server fails must not fail all of the others.
                int half = count / 2;
                await AskHalfAsync(connection, answers, start, half, token).ConfigureAwait(false);
                await AskHalfAsync(connection, answers, start + half, count - half, token).ConfigureAwait(false);
            }
        }
    }

    private protected override ValueTask<SharedAnswer<TRow>> JoinAsync(
        TKey key, Deadline deadline, CancellationToken token) => _line.JoinAsync(key, deadline, token);

    private protected override async Task<TRow?> AskOneAsync(
        PooledConnection connection, TKey key, CancellationToken token)
    {
        IReadOnlyDictionary<TKey, TRow> rows = await _ask(connection, [key], token).ConfigureAwait(false);
        if (rows.TryGetValue(key, out TRow? row) || !HasSpellings || rows.Count == 0) return row;

        return rows.Count == 1 ? rows.Values.First() : throw SeveralRows(rows.Count);
    }

    private async Task AskHalfAsync(
        PooledConnection connection,
        AnswerSet<TKey, SharedAnswer<TRow>> answers,
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
        AnswerSet<TKey, SharedAnswer<TRow>> answers,
        List<TKey> asked,
        int start,
        int count,
        CancellationToken token)
    {
        var keys = new TKey[BitOperations.RoundUpToPowerOf2((uint)count)];
        for (int i = 0; i < keys.Length; i++) keys[i] = asked[start + Math.Min(i, count - 1)];
        if (_selects is not null) connection.Physical.Select = _selects[BitOperations.Log2((uint)keys.Length)];

        IReadOnlyDictionary<TKey, TRow> rows = await _ask(connection, keys, token).ConfigureAwait(false);
        List<TKey>? others = null;
        for (int i = 0; i < count; i++)
        {
            if (rows.TryGetValue(keys[i], out TRow? row)) answers.Add(keys[i], new SharedAnswer<TRow>(row));
            else if (HasSpellings && rows.Count > 0) (others ??= []).Add(keys[i]);
        }

        if (others is null) return;

        if (count == 1)
        {
            if (rows.Count == 1) answers.Add(keys[0], new SharedAnswer<TRow>(rows.Values.First()));
            else answers.Fail(keys[0], SeveralRows(rows.Count));
        }
        else if (others.Count < count)
        {
            // Any of the rows may be theirs as well: what comes for them alone is.
            await AskAsync(connection, answers, others, 0, others.Count, token).ConfigureAwait(false);
        }
        else
        {
            // Halved until a row comes for one key alone, or none for several.
            int half = count / 2;
            await AskAsync(connection, answers, others, 0, half, token).ConfigureAwait(false);
            await AskAsync(connection, answers, others, half, count - half, token).ConfigureAwait(false);
        }
    }

    // The key is the caller's, and stays out of what may be logged.
    private InvalidOperationException SeveralRows(int count) => new(
        $"Look-up '{Name}': one key was answered with {count} rows, none of which is spelled like it. The column must "
        + "be unique, and only rows of the keys that are asked for may be answered.");

    private bool IsOfStatement(DbException exception) => Source.Classify(exception) == FailureKind.StatementFailed;
}
