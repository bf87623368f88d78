using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>
/// Stops further statements of a transaction that the server has ended, and records each statement's effect on the
/// session's transaction. Used by an operation that has claimed its session.
/// </summary>
internal static class TransactionGuard
{
    /// <summary>The effect of a statement on the transaction, before it is sent. Outside a transaction this costs only
    /// a short scan of the text.</summary>
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

            effect = SqlText.Join(effect, one);
        }

        return effect;
    }

    /// <summary>Whether a statement with this effect needs <see cref="PrepareAsync"/>.</summary>
    public static bool MustPrepare(PhysicalConnection physical, TransactionEffect effect) =>
        physical.Watch is { } watch && (watch.MustLook || watch.IsOver || effect != TransactionEffect.None);

    /// <summary>Checks that the transaction still exists, and sets a savepoint before a statement that may commit
    /// it.</summary>
    /// <exception cref="TransactionEndedException">The server has ended it.</exception>
    public static async ValueTask PrepareAsync<TStatement>(
        PooledConnection connection, OperationBound bound, TransactionEffect effect, TStatement statement,
        CancellationToken token)
        where TStatement : IStatement
    {
        await LookAsync(connection, bound, token).ConfigureAwait(false);
        if (bound.Physical.Watch is not { } watch) return;

        if (watch.IsOver)
        {
            bool isEnd = watch.IsByText && !statement.IsProcedure && statement.TextCount > 0
                && SqlText.LetsGo(statement.TextAt(0));
            if (isEnd && !watch.MayHaveCommitted) return;

            // Reported once; the caller can do nothing else about it.
            if (isEnd) End(bound.Physical);
            throw Ended(connection, watch);
        }

        // No savepoint is needed when a statement ends, or begins anew, a transaction that a statement began.
        bool isOwn = watch.IsByText && effect != TransactionEffect.Unknown;
        if (effect != TransactionEffect.None && !isOwn)
            await connection.RunAsync(watch.MarkAsync(), bound, token).ConfigureAwait(false);
    }

    /// <summary>Asks the server for the state of the transaction, if it is in doubt.</summary>
    public static async ValueTask LookAsync(PooledConnection connection, OperationBound bound, CancellationToken token)
    {
        if (bound.Physical.Watch is not { MustLook: true } watch) return;

        await connection.RunAsync(watch.LookAsync(), bound, token).ConfigureAwait(false);
        if (watch.WasNone) End(bound.Physical);
    }

    /// <summary>A statement succeeded.</summary>
    public static void Note(PhysicalConnection physical, TransactionEffect effect, string? text)
    {
        bool wasOff = physical.IsAutocommitOff;
        if (effect == TransactionEffect.TakesAutocommit) physical.IsAutocommitOff = true;
        if (effect == TransactionEffect.GivesAutocommit) physical.IsAutocommitOff = false;
        if (physical.Watch is { IsByText: false }) return;

        switch (effect)
        {
            case TransactionEffect.Begins:
                physical.Watch = new TransactionWatch(physical, TransactionOrigin.Statement);
                break;
            case TransactionEffect.TakesAutocommit when physical.Watch is null:
            case TransactionEffect.GivesAutocommit when wasOff:
            case TransactionEffect.Commits or TransactionEffect.RollsBack:
                End(physical);
                break;
        }

        // The rest of a script ran in the transaction that the script began.
        if (text is null || text.Contains(';', StringComparison.Ordinal))
            physical.Watch?.NoteSent(isRead: false, hasFailed: false);
    }

    /// <summary>The server answered a statement with an error.</summary>
    public static void NoteFailure(
        PhysicalConnection physical, TransactionEffect effect, bool isRead, Exception exception, IConnector connector)
    {
        if (exception is TransactionEndedException) return;

        if (effect is TransactionEffect.None or TransactionEffect.Unknown || physical.Watch is { IsByText: false })
        {
            physical.Watch?.NoteSent(isRead, hasFailed: true);
            return;
        }

        // Part of a script may have been executed, including its BEGIN.
        physical.Watch ??= new TransactionWatch(physical, TransactionOrigin.Script);
        physical.Watch.NoteSent(isRead, hasFailed: true);
        bool mayHaveCommitted = effect != TransactionEffect.RollsBack && !connector.IsCommitRefused(exception)
            && physical.Watch.Origin != TransactionOrigin.Script;
        if (mayHaveCommitted) physical.Watch.NoteUnclearCommit();
        else physical.Watch.NoteError();
    }

    /// <summary>A transaction has ended. Without autocommit, the next statement begins a new one.</summary>
    public static void End(PhysicalConnection physical) => physical.Watch = physical.IsAutocommitOff
        ? new TransactionWatch(physical, TransactionOrigin.NoAutocommit)
        : null;

    /// <summary>After the failure of a statement that may have committed the transaction: asks at once, so that a
    /// caller that gives up now knows whether something is stored.</summary>
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
            // The caller gets the statement's own failure. Without an answer, the question of what was committed stays
            // open.
        }
    }

    /// <summary>The exception for a caller that continues a transaction that is over.</summary>
    public static TransactionEndedException Ended(PooledConnection connection, TransactionWatch watch) => new(
        $"Pool '{connection.Pool.Options.Name}': the transaction is over, and nothing more of it was sent. "
        + (watch.IsCommitUnclear
            ? "Its commit was answered with an error that leaves open whether it took effect: read the data before you "
                + "try again."
            : watch.MayHaveCommitted
            ? "One of its own statements has ended it, as DDL, LOCK TABLES, a COMMIT or a procedure that commits does: "
                + "what was done before may be stored, and a rollback does not undo it."
            : "The server has rolled it back with an earlier error: nothing of it is stored. Begin it anew."),
        watch.MayHaveCommitted);
}
