using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool;

/// <summary>A command on a rented connection. Its parameters are the driver's own.</summary>
public sealed class PooledCommand : DbCommand, IStatement
{
    // The others make the driver set variables of the session around the statement.
    private const CommandBehavior HarmlessBehavior =
        CommandBehavior.SingleResult | CommandBehavior.SequentialAccess | CommandBehavior.CloseConnection;

    private readonly DbCommand _inner;
    private StatementScope _scope;

    internal PooledCommand(PooledConnection connection, DbCommand inner)
    {
        _scope = new StatementScope(connection, "command");
        _inner = inner;
    }

    /// <inheritdoc/>
    [AllowNull]
    public override string CommandText
    {
        get => _inner.CommandText;
        set => _inner.CommandText = value;
    }

    /// <summary>
    /// Seconds until the statement is cut off with a <see cref="DeadlineExceededException"/>; the connection's deadline
    /// may come earlier. Default <see cref="PoolOptions.StatementTimeout"/>; 0 for none but the connection's.
    /// </summary>
    public override int CommandTimeout
    {
        get => _scope.Timeout;
        set => _scope.Timeout = value;
    }

    /// <inheritdoc/>
    public override CommandType CommandType
    {
        get => _inner.CommandType;
        set => _inner.CommandType = value;
    }

    /// <inheritdoc/>
    public override bool DesignTimeVisible
    {
        get => _inner.DesignTimeVisible;
        set => _inner.DesignTimeVisible = value;
    }

    /// <inheritdoc/>
    public override UpdateRowSource UpdatedRowSource
    {
        get => _inner.UpdatedRowSource;
        set => _inner.UpdatedRowSource = value;
    }

    /// <inheritdoc/>
    protected override DbConnection? DbConnection
    {
        get => _scope.Connection;
        set => _scope.Connection = value;
    }

    /// <inheritdoc/>
    protected override DbParameterCollection DbParameterCollection => _inner.Parameters;

    /// <inheritdoc/>
    protected override DbTransaction? DbTransaction
    {
        get => _scope.Transaction;
        set => _scope.Transaction = value;
    }

    /// <inheritdoc/>
    public override Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken) => Execution.RunAsync(
        this, static (statement, _) => statement._inner.ExecuteNonQueryAsync(CancellationToken.None),
        cancellationToken);

    /// <inheritdoc/>
    public override Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken) => Execution.RunAsync(
        this, static (statement, _) => statement._inner.ExecuteScalarAsync(CancellationToken.None), cancellationToken);

    /// <inheritdoc/>
    protected override Task<DbDataReader> ExecuteDbDataReaderAsync(
        CommandBehavior behavior, CancellationToken cancellationToken) => Execution.ReadAsync(
            this, behavior,
            static (statement, asked) => statement._inner.ExecuteReaderAsync(asked, CancellationToken.None),
            cancellationToken);

    /// <summary>
    /// Executes a query and reads all of its rows as one operation: claimed once and waited for once, however many
    /// rows there are.
    /// </summary>
    /// <param name="read">Reads rows and touches nothing else, as it goes on for a moment when its caller has been cut
    /// off.</param>
    /// <param name="cancellationToken">The caller's.</param>
    internal Task<T> ReadAllAsync<T>(Func<DbDataReader, Task<T>> read, CancellationToken cancellationToken) =>
        Execution.RunAsync(this, (statement, _) => statement.ReadAllAsync(read), cancellationToken);

    /// <inheritdoc/>
    public override int ExecuteNonQuery()
    {
        _scope.Required.ThrowUnlessSynchronous("ExecuteNonQueryAsync");
        return ExecuteNonQueryAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override object? ExecuteScalar()
    {
        _scope.Required.ThrowUnlessSynchronous("ExecuteScalarAsync");
        return ExecuteScalarAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior)
    {
        _scope.Required.ThrowUnlessSynchronous("ExecuteReaderAsync");
        return ExecuteDbDataReaderAsync(behavior, CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <summary>Nothing: a prepared handle would not outlive the rent, and the driver forgets to forget it.</summary>
    public override void Prepare()
    {
    }

    /// <inheritdoc cref="Prepare"/>
    public override Task PrepareAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    /// <summary>
    /// Cuts the statement in flight off from its caller and ends it on the server; the connection is severed. Does not
    /// wait. Nothing happens when none is in flight.
    /// </summary>
    public override void Cancel() => _scope.Cancel();

    /// <inheritdoc/>
    protected override DbParameter CreateDbParameter() => _inner.CreateParameter();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _inner.Dispose();
        base.Dispose(disposing);
    }

    private async Task<T> ReadAllAsync<T>(Func<DbDataReader, Task<T>> read)
    {
        DbDataReader reader = await _inner.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            T result = await read(reader).ConfigureAwait(false);

            // An error may stand behind the rows.
            await reader.NextResultAsync(CancellationToken.None).ConfigureAwait(false);
            return result;
        }
    }

    StatementScope IStatement.Scope => _scope;

    ScriptKind IStatement.Kind => Script.Of(_inner.CommandText, _inner.CommandType);

    bool IStatement.IsFixedSelect(CommandBehavior behavior) =>
        _scope.Required.Physical.Select is { } select
        && _inner.CommandText == select.Text
        && _inner.CommandType == CommandType.Text
        && (behavior & ~HarmlessBehavior) == 0

        // With fewer, one of its names would be a variable.
        && (select.Parameters == 0 || _inner.Parameters.Count == select.Parameters);

    OperationBound IStatement.Bind(OperationBound bound)
    {
        _inner.Connection = bound.Physical.Inner;
        _inner.Transaction = _scope.InnerTransaction(bound);
        _inner.CommandTimeout = _scope.DriverTimeout(bound);
        return StatementTrace.IsOn
            ? bound with { Span = StatementTrace.Start(_scope.Required.Pool, bound.Physical.Inner, CommandText) }
            : bound;
    }
}
