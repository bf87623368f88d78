using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// Lets nothing more of a transaction be sent once the server has ended it, and notes what a statement does to the
/// session's transaction. Works on an operation that has claimed its session.
/// </summary>
internal static class TransactionGuard
{
    /// <summary>Before a statement: what it does to the transaction. Outside of one it costs a glance at the
    /// text.</summary>
    public static TransactionEffect EffectOf<TStatement>(TStatement statement, PhysicalConnection physical)
        where TStatement : IStatement
    {
        bool isOn = physical.Watch is not null;
        if (statement.IsProcedure) return isOn ? TransactionEffect.Unknown : TransactionEffect.None;

        var effect = TransactionEffect.None;
        for (int i = 0; i < statement.TextCount; i++)
        {
            string text = statement.TextAt(i);
            if (!isOn && !SqlText.MayBegin(text)) continue;

            TransactionEffect one = SqlText.EffectOf(text);
            if (one == TransactionEffect.Unknown && SqlText.MayPrepareXa(text)) physical.MustDiscard = true;
            if (one == TransactionEffect.Unknown) return isOn ? one : TransactionEffect.None;
            if (one != TransactionEffect.None) effect = one;
        }

        return effect;
    }

    /// <summary>Whether a statement of this effect needs <see cref="PrepareAsync"/>.</summary>
    public static bool MustPrepare(PhysicalConnection physical, TransactionEffect effect) =>
        physical.Watch is { } watch && (watch.MustLook || watch.IsOver || effect != TransactionEffect.None);

    /// <summary>Makes sure that the transaction is there, and marks it for a statement that may commit it.</summary>
    /// <exception cref="TransactionEndedException">The server has ended it.</exception>
    public static async ValueTask PrepareAsync(
        PooledConnection connection, OperationBound bound, TransactionEffect effect, CancellationToken token)
    {
        await LookAsync(connection, bound, token).ConfigureAwait(false);
        if (bound.Physical.Watch is not { } watch) return;

        // By a statement the renter ends, or begins anew, what it has begun by one.
        bool isOwn = watch.IsByText && effect != TransactionEffect.Unknown;
        if (watch.IsOver)
        {
            bool isEnd = isOwn && effect is TransactionEffect.RollsBack or TransactionEffect.Begins;
            if (isEnd && !watch.MayHaveCommitted) return;

            // Said once; it can do nothing else about it.
            if (isEnd) bound.Physical.Watch = null;
            throw Ended(connection, watch);
        }

        if (effect != TransactionEffect.None && !isOwn)
            await connection.RunAsync(watch.MarkAsync(), bound, token).ConfigureAwait(false);
    }

    /// <summary>Asks what has become of the transaction, when that is in doubt.</summary>
    public static async ValueTask LookAsync(PooledConnection connection, OperationBound bound, CancellationToken token)
    {
        if (bound.Physical.Watch is { MustLook: true } watch)
            await connection.RunAsync(watch.LookAsync(), bound, token).ConfigureAwait(false);
    }

    /// <summary>A statement was answered well.</summary>
    public static void Note(PhysicalConnection physical, TransactionEffect effect)
    {
        if (physical.Watch is { IsByText: false }) return;

        if (effect == TransactionEffect.Begins) physical.Watch = new TransactionWatch(physical, isByText: true);
        else if (effect is TransactionEffect.Commits or TransactionEffect.RollsBack) physical.Watch = null;
    }

    /// <summary>After a failure of a statement that may have committed the transaction: asks at once, so that a caller
    /// that gives up now knows whether something is stored.</summary>
    public static async ValueTask LookAfterFailureAsync(
        PooledConnection connection, OperationBound bound, CancellationToken token)
    {
        if (!bound.IsHeld || bound.Physical.IsBroken || bound.Physical.Reader is not null) return;

        try
        {
            await LookAsync(connection, bound, token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is DbException or OperationCanceledException)
        {
            // What the caller hears of is the statement's failure. Without an answer it stays open what was committed.
        }
    }

    /// <summary>What a caller hears that goes on with a transaction that is over.</summary>
    public static TransactionEndedException Ended(PooledConnection connection, TransactionWatch watch) => new(
        $"Pool '{connection.Pool.Options.Name}': the transaction is over, and nothing more of it was sent. "
        + (watch.MayHaveCommitted
            ? "One of its own statements has ended it, as DDL, LOCK TABLES or a procedure that commits does: what was "
                + "done before is stored, and a rollback does not undo it."
            : "The server has rolled it back with an earlier error: nothing of it is stored. Begin it anew."),
        watch.MayHaveCommitted);
}
