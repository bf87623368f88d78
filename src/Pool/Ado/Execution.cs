using System.Data;
using System.Data.Common;

namespace UPool;

/// <summary>What an execution needs of a command or a batch.</summary>
internal interface IStatement
{
    /// <summary>Whose it is, and how long it may take.</summary>
    StatementScope Scope { get; }

    /// <summary>How many statements it may be.</summary>
    ScriptKind Kind { get; }

    /// <summary>Whether it is what the connection's no-reset rent was made for, and nothing besides.</summary>
    bool IsFixedSelect(CommandBehavior behavior);

    /// <summary>Ties the driver's own object to the session, and begins its span.</summary>
    OperationBound Bind(OperationBound bound);
}

/// <summary>One execution of a command or a batch.</summary>
/// <remarks>Its lambdas capture nothing, so that it costs no object more.</remarks>
internal static class Execution
{
    /// <summary>Executes for a value.</summary>
    public static Task<T> RunAsync<TStatement, T>(
        TStatement statement, Func<TStatement, CommandBehavior, Task<T>> execute, CancellationToken token)
        where TStatement : class, IStatement =>
        RunAsync(statement, CommandBehavior.Default, execute, static (_, _, _, value) => value, token);

    /// <summary>Executes for a reader.</summary>
    public static Task<DbDataReader> ReadAsync<TStatement>(
        TStatement statement, CommandBehavior behavior,
        Func<TStatement, CommandBehavior, Task<DbDataReader>> execute, CancellationToken token)
        where TStatement : class, IStatement =>
        RunAsync<TStatement, DbDataReader, DbDataReader>(
            statement, behavior, execute,
            static (statement, asked, bound, reader) => new PooledDataReader(
                statement.Scope.Required, bound with { Span = null }, reader, statement.Kind,
                asked.HasFlag(CommandBehavior.CloseConnection)),
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
        try
        {
            bound = statement.Bind(bound);

            // The wrapper closes its own connection: the driver must not close the session.
            Task<T> operation = execute(statement, behavior & ~CommandBehavior.CloseConnection);
            T result = await connection.RunAsync(operation, bound, token).ConfigureAwait(false);
            return wrap(statement, behavior, bound, result);
        }
        catch (DbException exception)
        {
            Script.NoteFailure(exception, bound, statement.Kind, connection.Pool.Connector);
            throw;
        }
        finally
        {
            bound.Release();
        }
    }
}
