using System.Data.Common;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.GrainDirectory;

namespace UPool.Cluster.Workers;

/// <summary>
/// The base of a stateless worker over the pool: one activation in each silo, called in the silo where the request is.
/// It rents, runs, and turns every failure into a reply that states what is certain.
/// </summary>
/// <remarks>
/// One reentrant worker is enough, because all waiting is asynchronous, and it is the only form in which Orleans passes
/// a cancellation token on to a stateless worker. The pool's queue limits the work in flight.
/// </remarks>
[StatelessWorker(1, false)]
[Reentrant]
[GrainDirectory(GrainDirectoryName = NoGrainDirectory.Name)]
public abstract partial class WorkerGrain(PooledDataSource pool) : Grain
{
    private ILogger? _log;
    private RunningCalls? _calls;

    /// <summary>The pool of this silo.</summary>
    protected PooledDataSource Pool { get; } = pool;

    private ILogger Log => _log ??= ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger(GetType());

    private RunningCalls Calls => _calls ??= ServiceProvider.GetRequiredService<RunningCalls>();

    /// <summary>Runs a read on a rented connection.</summary>
    /// <param name="deadline">When the answer is due; it bounds the rent and every operation on the connection.</param>
    /// <param name="cancellationToken">Cancelled when the caller has gone.</param>
    /// <param name="work">The read. The connection is returned when it ends.</param>
    /// <param name="caller">Filled in by the compiler; for the report of a rent held too long.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <exception cref="OperationCanceledException">The caller has gone.</exception>
#pragma warning disable CA1068 // The work reads better last: it is nearly always a lambda of several lines.
    protected async Task<Reply<T>> ReadAsync<T>(
        Deadline deadline,
        CancellationToken cancellationToken,
        Func<PooledConnection, CancellationToken, Task<Reply<T>>> work,
        [CallerMemberName] string caller = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        if (deadline.HasPassed()) return TooLate<T>();

        using RunningCalls.Scope call = Calls.Enter(cancellationToken);
        try
        {
            RentResult rent = await RentAsync(deadline, new Place(caller, file, line), call.Token);
            if (!rent.IsRented) return Refused<T>(rent.Refusal);

            await using PooledConnection connection = rent.Connection;
            return await work(connection, call.Token);
        }
        catch (OperationCanceledException) when (call.Token.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception)
        {
            return ReadFailed<T>(exception);
        }
    }

    /// <summary>Runs a shared read, together with other callers of the same key.</summary>
    /// <param name="query">The shared read, or the shared look-up; one for the life of the silo's pool.</param>
    /// <param name="key">The key.</param>
    /// <param name="deadline">When the answer is due.</param>
    /// <param name="cancellationToken">Cancelled when the caller has gone.</param>
    /// <param name="answer">Makes the reply; it gets null if a look-up found no row.</param>
    /// <exception cref="OperationCanceledException">The caller has gone.</exception>
    protected async Task<Reply<T>> ReadAsync<TKey, T>(
        SharedQuery<TKey, T> query,
        TKey key,
        Deadline deadline,
        CancellationToken cancellationToken,
        Func<T?, Reply<T>> answer)
        where TKey : notnull, IEquatable<TKey>
    {
        if (deadline.HasPassed()) return TooLate<T>();

        using RunningCalls.Scope call = Calls.Enter(cancellationToken);
        try
        {
            SharedAnswer<T> shared = await query.AskAsync(key, deadline, call.Token);
            return shared.IsAnswered ? answer(shared.Value) : Refused<T>(shared.Refusal);
        }
        catch (OperationCanceledException) when (call.Token.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception)
        {
            return ReadFailed<T>(exception);
        }
    }

    /// <summary>Looks up keys that a caller has gathered (<see cref="WorkerClient{TGrain}.ShareLookup"/>).</summary>
    /// <param name="lookup">The look-up; one for the life of the silo's pool.</param>
    /// <param name="keys">1 to <see cref="SharedLookup{TKey,TRow}.MaxKeys"/> keys; any other number is invalid.</param>
    /// <param name="deadline">When the answer is due.</param>
    /// <param name="cancellationToken">Cancelled when the caller has gone.</param>
    /// <returns>The rows in the order of the keys, null where there is none.</returns>
    /// <exception cref="OperationCanceledException">The caller has gone.</exception>
    protected async Task<Reply<TRow?[]>> ReadManyAsync<TKey, TRow>(
        SharedLookup<TKey, TRow> lookup, TKey[] keys, Deadline deadline, CancellationToken cancellationToken)
        where TKey : notnull, IEquatable<TKey>
        where TRow : class
    {
        if (keys is not { Length: > 0 and <= SharedLookup<TKey, TRow>.MaxKeys })
            return Reply.Invalid<TRow?[]>($"a look-up has 1 to {SharedLookup<TKey, TRow>.MaxKeys} keys");
        if (deadline.HasPassed()) return TooLate<TRow?[]>();

        using RunningCalls.Scope call = Calls.Enter(cancellationToken);
        try
        {
            SharedAnswer<TRow?[]> rows = await lookup.AskManyAsync(keys, deadline, call.Token);
            return rows.IsAnswered ? Reply.Ok(rows.Value!) : Refused<TRow?[]>(rows.Refusal);
        }
        catch (OperationCanceledException) when (call.Token.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception)
        {
            return ReadFailed<TRow?[]>(exception);
        }
    }

    /// <summary>
    /// Runs a write of one statement in autocommit. If its connection is lost or its deadline passes while it is under
    /// way, its outcome is unknown; use <see cref="WriteInTransactionAsync"/> to know more, and for several statements.
    /// </summary>
    /// <param name="deadline">When the answer is due; it bounds the rent and every operation on the connection.</param>
    /// <param name="cancellationToken">Cancelled when the caller has gone.</param>
    /// <param name="work">The write. The connection is returned when it ends.</param>
    /// <param name="caller">Filled in by the compiler; for the report of a rent held too long.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <exception cref="OperationCanceledException">The caller has gone before anything was sent.</exception>
    protected Task<Reply<T>> WriteAsync<T>(
        Deadline deadline,
        CancellationToken cancellationToken,
        Func<PooledConnection, CancellationToken, Task<Reply<T>>> work,
        [CallerMemberName] string caller = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        return IsAdmitted()
            ? WriteOnceAsync(deadline, cancellationToken, work, new Place(caller, file, line))
            : Task.FromResult(SentTwice<T>());
    }

    /// <summary>
    /// Runs a write in a transaction, committed if its reply is <see cref="ReplyStatus.Ok"/> and rolled back otherwise.
    /// Until the commit is sent a failure is certain to have changed nothing, and its reply states that.
    /// </summary>
    /// <param name="deadline">When the answer is due; it bounds the rent and every operation on the connection.</param>
    /// <param name="cancellationToken">Cancelled when the caller has gone.</param>
    /// <param name="work">The write. The connection is returned when it ends.</param>
    /// <param name="caller">Filled in by the compiler; for the report of a rent held too long.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <exception cref="OperationCanceledException">The caller has gone; nothing was changed.</exception>
    protected Task<Reply<T>> WriteInTransactionAsync<T>(
        Deadline deadline,
        CancellationToken cancellationToken,
        Func<PooledConnection, DbTransaction, CancellationToken, Task<Reply<T>>> work,
        [CallerMemberName] string caller = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        return IsAdmitted()
            ? WriteAllAsync(deadline, cancellationToken, work, new Place(caller, file, line))
            : Task.FromResult(SentTwice<T>());
    }

    private async Task<Reply<T>> WriteOnceAsync<T>(
        Deadline deadline,
        CancellationToken cancellationToken,
        Func<PooledConnection, CancellationToken, Task<Reply<T>>> work,
        Place place)
    {
        if (deadline.HasPassed()) return TooLate<T>();

        using RunningCalls.Scope call = Calls.Enter(cancellationToken);
        PooledConnection? rented = null;
        try
        {
            RentResult rent = await RentAsync(deadline, place, call.Token);
            if (!rent.IsRented) return Refused<T>(rent.Refusal);

            await using PooledConnection connection = rented = rent.Connection;
            connection.MustKnowWrites = true;
            Reply<T> reply = await work(connection, call.Token);

            // INV-9: a transaction left open is rolled back when the connection returns.
            return reply.Status == ReplyStatus.Ok && connection.IsLeftInTransaction ? LeftOpen<T>() : reply;
        }
        catch (Exception exception) when (rented is not null)
        {
            return WriteFailed<T>(exception, rented.HasWritten);
        }
        catch (Exception exception) when (!call.Token.IsCancellationRequested)
        {
            return ReadFailed<T>(exception);
        }
    }

    private async Task<Reply<T>> WriteAllAsync<T>(
        Deadline deadline,
        CancellationToken cancellationToken,
        Func<PooledConnection, DbTransaction, CancellationToken, Task<Reply<T>>> work,
        Place place)
    {
        if (deadline.HasPassed()) return TooLate<T>();

        using RunningCalls.Scope call = Calls.Enter(cancellationToken);
        PooledConnection? rented = null;
        PooledTransaction? begun = null;
        try
        {
            RentResult rent = await RentAsync(deadline, place, call.Token);
            if (!rent.IsRented) return Refused<T>(rent.Refusal);

            await using PooledConnection connection = rented = rent.Connection;
            connection.MustKnowWrites = true;
            await using PooledTransaction transaction = begun =
                (PooledTransaction)await connection.BeginTransactionAsync(call.Token);
            Reply<T> reply;
            try
            {
                reply = await work(connection, transaction, call.Token);
            }
            catch
            {
                await transaction.SettleAsync();
                throw;
            }

            if (reply.Status != ReplyStatus.Ok)
            {
                // The reply states that nothing was changed.
                await transaction.SettleAsync();
                return MayBeStored(connection, transaction) ? Unknown<T>(FailureKind.Other) : reply;
            }

            call.Token.ThrowIfCancellationRequested();

            // Without the caller's token: a caller that leaves now must not make the outcome of the commit unknown. The
            // deadline still applies.
            await transaction.CommitAsync(CancellationToken.None);
            return reply;
        }
        catch (Exception exception) when (rented is not null && MayBeStored(rented, begun))
        {
            return WriteFailed<T>(exception, hasWritten: true);
        }
        catch (OperationCanceledException) when (call.Token.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception)
        {
            // No commit was sent, or it was refused, so the server has rolled back or will: for the caller that is as
            // certain as a failed read.
            return ReadFailed<T>(exception);
        }
    }
#pragma warning restore CA1068

    // Named for the caller: the report of a rent held too long must show the line in the grain, not the one in here.
    private ValueTask<RentResult> RentAsync(Deadline deadline, Place place, CancellationToken token) =>
        Pool.RentAsync(deadline, token, place.Caller, place.File, place.Line);

    // INV-9: a call that Orleans sent twice writes once. See WriteTicket.
    private static bool IsAdmitted() => WriteTicket.Arrived.Value?.Admits() ?? true;

    // Stored by the transaction, or outside it if the worker has ended it itself.
    private static bool MayBeStored(PooledConnection connection, PooledTransaction? transaction) =>
        transaction is { MayHaveCommitted: true } || connection.HasWritten;

    private static Reply<T> TooLate<T>() =>
        Reply.Refused<T>(RefusalReason.TimedOut, "the deadline had passed before anything was sent");

    private Reply<T> Refused<T>(RefusalReason reason)
    {
        LogRefused(Log, reason);
        return Reply.Refused<T>(reason);
    }

    private Reply<T> SentTwice<T>()
    {
        LogSentTwice(Log);
        return Reply.Ended<T>(ReplyStatus.OutcomeUnknown, "the write may have been sent twice; this copy was not run");
    }

    // A failure that certainly changed nothing: of a read, or of a transaction of which nothing can be stored.
    private Reply<T> ReadFailed<T>(Exception exception)
    {
        switch (Pool.Classify(exception))
        {
            case FailureKind.StatementFailed:
            case FailureKind.OutcomeUnknown when exception is not OutcomeUnknownException:
                LogStatementFailed(Log, Code(exception));
                return Reply.Ended<T>(ReplyStatus.Failed, "the database failed the statement");
            case FailureKind.Refused when exception is RentRefusedException refusal:
                return Refused<T>(refusal.Reason);
            case FailureKind.DeadlineExceeded:
                LogDeadlineExceeded(Log);
                return Reply.Ended<T>(ReplyStatus.DeadlineExceeded, "the statement did not end by the deadline");
            case FailureKind.ConnectionLost or FailureKind.Unavailable or FailureKind.Refused
                or FailureKind.OutcomeUnknown:
                LogUnavailable(Log, Code(exception));
                return Reply.Refused<T>(RefusalReason.Unavailable, "the connection to the database was lost");
            default:
                LogUnexpected(Log, exception.GetType(), exception.StackTrace);
                return Reply.Ended<T>(ReplyStatus.Failed);
        }
    }

    // A failure while a statement in autocommit, or a commit, may have been under way. Only the server's own error and
    // a refusal are certain to have changed nothing, if nothing else had been written before: any other failure may
    // have come after the write took effect.
    private Reply<T> WriteFailed<T>(Exception exception, bool hasWritten)
    {
        FailureKind kind = Pool.Classify(exception);
        if (!hasWritten && kind is FailureKind.StatementFailed or FailureKind.Refused or FailureKind.Unavailable)
            return ReadFailed<T>(exception);

        // The worker's own code failed, and nothing that writes has been sent.
        if (!hasWritten && kind == FailureKind.Other && exception is not OperationCanceledException)
            return ReadFailed<T>(exception);

        if (kind == FailureKind.Other && exception is not OperationCanceledException)
            LogUnexpected(Log, exception.GetType(), exception.StackTrace);
        return Unknown<T>(kind);
    }

    private Reply<T> LeftOpen<T>()
    {
        LogLeftOpen(Log);
        return Reply.Ended<T>(
            ReplyStatus.OutcomeUnknown, "the write left a transaction open: what was done in it is rolled back");
    }

    private Reply<T> Unknown<T>(FailureKind kind)
    {
        LogOutcomeUnknown(Log, kind);
        return Reply.Ended<T>(
            ReplyStatus.OutcomeUnknown,
            kind is FailureKind.DeadlineExceeded or FailureKind.ConnectionLost
                ? "the write was under way when it was cut off"
                : "the write failed, and part of it may be stored");
    }

    // The number and the state of an error are the database's own; its text may quote a value (INV-8).
    private static string Code(Exception exception) =>
        exception is DbException error
            ? $"{DatabaseError.NumberOf(exception)} {error.SqlState}".TrimEnd()
            : exception.GetType().Name;

    private readonly record struct Place(string Caller, string File, int Line);
}
