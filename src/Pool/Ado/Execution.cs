using System.Data;
using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>The parts of a command or a batch that an execution needs.</summary>
/// <remarks>
/// The driver keeps the object that it executes until it has read everything: it writes output values into the object's
/// parameters and does not allow its text to change. A caller may be done before that. So the caller's own object is
/// executed only if the driver holds no earlier execution of it and writes nothing into it; otherwise a copy is
/// executed.
/// </remarks>
internal interface IStatement
{
    /// <summary>Its connection, transaction and timeout.</summary>
    StatementScope Scope { get; }

    /// <summary>The number of its texts: one, except for a batch.</summary>
    int TextCount { get; }

    /// <summary>Whether its text is the name of a procedure.</summary>
    bool IsProcedure { get; }

    /// <summary>One of its texts.</summary>
    string TextAt(int index);

    /// <summary>A lower bound of the bytes to send: its texts and its larger values. Only used after
    /// failures.</summary>
    long Size();

    /// <summary>The driver's object of the last execution.</summary>
    object? Running { get; }

    /// <summary>Whether it is exactly the SELECT that the connection's no-reset rent was made for.</summary>
    bool IsFixedSelect(CommandBehavior behavior);

    /// <summary>Binds a driver's object to the session, and starts its span.</summary>
    OperationBound Bind(OperationBound bound);

    /// <summary>The driver has read further: passes the caller the output values and ids that have arrived.</summary>
    /// <param name="running">The object of that execution; no effect if another execution has begun.</param>
    void Advance(object? running);

    /// <summary>The driver has read everything and has released the object.</summary>
    /// <param name="running">The object of that execution.</param>
    void End(object? running);

    /// <summary>The execution returned a reader, which is open.</summary>
    void Open(PooledDataReader reader);
}

/// <summary>One execution of a command or a batch.</summary>
/// <remarks>Its lambdas capture nothing, which saves an allocation.</remarks>
internal static class Execution
{
    /// <summary>Executes and returns a value.</summary>
    public static Task<T> RunAsync<TStatement, T>(
        TStatement statement, Func<TStatement, CommandBehavior, Task<T>> execute, CancellationToken token)
        where TStatement : class, IStatement =>
        RunAsync(
            statement, CommandBehavior.Default, execute,
            static (statement, _, _, value) =>
            {
                statement.Advance(statement.Running);
                statement.End(statement.Running);
                return value;
            },
            token);

    /// <summary>Executes and returns a reader.</summary>
    public static Task<DbDataReader> ReadAsync<TStatement>(
        TStatement statement, CommandBehavior behavior,
        Func<TStatement, CommandBehavior, Task<DbDataReader>> execute, CancellationToken token)
        where TStatement : class, IStatement =>
        RunAsync<TStatement, DbDataReader, DbDataReader>(
            statement, behavior, execute,
            static (statement, asked, bound, inner) =>
            {
                var reader = new PooledDataReader(
                    statement, bound with { Span = null }, inner, asked.HasFlag(CommandBehavior.CloseConnection));
                statement.Open(reader);
                statement.Advance(statement.Running);
                return reader;
            },
            token);

    private static async Task<TResult> RunAsync<TStatement, T, TResult>(
        TStatement statement,
        CommandBehavior behavior,
        Func<TStatement, CommandBehavior, Task<T>> execute,
        Func<TStatement, CommandBehavior, OperationBound, T, TResult> wrap,
        CancellationToken token)
        where TStatement : class, IStatement
    {
        PooledConnection connection = statement.Scope.Required;
        OperationBound bound = await statement.Scope
            .BeginAsync(token, statement.IsFixedSelect(behavior)).ConfigureAwait(false);
        string? text = Script.TextOf(statement);
        bool hadWritten = connection.HasWritten;
        bool isRead = false;
        var effect = TransactionEffect.None;
        try
        {
            effect = TransactionGuard.EffectOf(statement, bound.Physical);
            if (TransactionGuard.MustPrepare(bound.Physical, effect))
            {
                await TransactionGuard.PrepareAsync(connection, bound, effect, statement, token)
                    .ConfigureAwait(false);
            }

            bound = statement.Bind(bound);
            bound.Physical.RunningText = text;
            bound.Physical.Running = statement;
            hadWritten = connection.HasWritten;
            isRead = Script.IsRead(text, connection.MustKnowWrites);
            if (bound.Physical.Watch is null && !isRead) connection.HasWritten = true;

            // The wrapper closes its own connection: the driver must not close the session.
            Task<T> operation = execute(statement, behavior & ~CommandBehavior.CloseConnection);
            T result = await connection.RunAsync(operation, bound, token).ConfigureAwait(false);
            bound.Physical.Watch?.NoteSent(isRead, hasFailed: false);
            if (effect != TransactionEffect.None) TransactionGuard.Note(bound.Physical, effect, text);
            return wrap(statement, behavior, bound, result);
        }
        catch (Exception exception)
        {
            Script.NoteFailure(exception, bound, text, connection.Pool.Connector);
            if (bound.IsHeld)
            {
                statement.End(statement.Running);
                TransactionGuard.NoteFailure(bound.Physical, effect, isRead, exception, connection.Pool.Connector);
            }

            await Script.NotePartialEffectAsync(exception, connection, bound, text, token).ConfigureAwait(false);
            if (FailureNotes.KindOf(exception, connection.Pool.Connector) == FailureKind.StatementFailed)
                connection.HasWritten = hadWritten;
            if (bound.Physical.Watch is { MayHaveCommitted: true })
                await TransactionGuard.LookAfterFailureAsync(connection, bound, token).ConfigureAwait(false);
            throw;
        }
        finally
        {
            if (bound.IsHeld) bound.Physical.Running = null;
            bound.Release();
        }
    }
}
