using System.Data.Common;
using System.Globalization;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

/// <summary>A worker that executes the test's statement.</summary>
[Alias("UPool.Tests.ISqlGrain")]
public interface ISqlGrain : IGrainWithIntegerKey
{
    [Spread, Alias("Read")]
    Task<Reply<long>> Read(string sql, Deadline deadline, CancellationToken cancellationToken);

    [Spread, Alias("Write")]
    Task<Reply<long>> Write(string sql, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Executes the statements one by one, each on its own.</summary>
    [Spread, Alias("WriteEach")]
    Task<Reply<long>> WriteEach(string[] statements, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Executes the statements one by one, then throws as a worker's own code does.</summary>
    [Spread, Alias("WriteAndFail")]
    Task<Reply<long>> WriteAndFail(
        string[] statements, string failure, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Throws as a worker's own code does in a read.</summary>
    [Spread, Alias("ReadAndFail")]
    Task<Reply<long>> ReadAndFail(string failure, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Executes the statements in one transaction, then throws or returns as the last argument says.</summary>
    [Spread, Alias("Transaction")]
    Task<Reply<long>> Transaction(
        string[] statements, TransactionEnd end, Deadline deadline, CancellationToken cancellationToken);
}

public enum TransactionEnd
{
    Commit,
    NotFound,
    Throw,

    /// <summary>Reaches its commit after the deadline.</summary>
    Late,

    /// <summary>Catches the errors of single statements and continues, as retrying code does.</summary>
    CommitWhateverFails,
}

public sealed class SqlGrain(PooledDataSource pool) : WorkerGrain(pool), ISqlGrain
{
    public Task<Reply<long>> Read(string sql, Deadline deadline, CancellationToken cancellationToken) =>
        ReadAsync(deadline, cancellationToken, (connection, token) => ScalarAsync(connection, null, sql, token));

    public Task<Reply<long>> Write(string sql, Deadline deadline, CancellationToken cancellationToken) =>
        WriteAsync(deadline, cancellationToken, (connection, token) => ScalarAsync(connection, null, sql, token));

    public Task<Reply<long>> WriteEach(
        string[] statements, Deadline deadline, CancellationToken cancellationToken) =>
        WriteAsync(deadline, cancellationToken, async (connection, token) =>
        {
            Reply<long> reply = Reply.Ok(0L);
            foreach (string sql in statements) reply = await ScalarAsync(connection, null, sql, token);
            return reply;
        });

    public Task<Reply<long>> WriteAndFail(
        string[] statements, string failure, Deadline deadline, CancellationToken cancellationToken) =>
        WriteAsync<long>(deadline, cancellationToken, async (connection, token) =>
        {
            foreach (string sql in statements) await ScalarAsync(connection, null, sql, token);
            throw Own(failure);
        });

    public Task<Reply<long>> ReadAndFail(string failure, Deadline deadline, CancellationToken cancellationToken) =>
        ReadAsync<long>(deadline, cancellationToken, async (connection, token) =>
        {
            await ScalarAsync(connection, null, "SELECT 1", token);
            throw Own(failure);
        });

    private static Exception Own(string failure) => failure switch
    {
        "http" => new HttpRequestException("secret", new System.Net.Sockets.SocketException(111)),
        "io" => new IOException("secret"),
        "end" => new EndOfStreamException("secret"),
        "disposed" => new ObjectDisposedException("secret"),
        "timeout" => new TimeoutException("secret"),
        "cancelled" => new OperationCanceledException("secret"),
        "aggregate" => new AggregateException(new IOException("secret")),
        _ => new InvalidOperationException("secret"),
    };

    public Task<Reply<long>> Transaction(
        string[] statements, TransactionEnd end, Deadline deadline, CancellationToken cancellationToken) =>
        WriteInTransactionAsync(deadline, cancellationToken, async (connection, transaction, token) =>
        {
            Reply<long> reply = Reply.Ok(0L);
            foreach (string sql in statements)
            {
                try
                {
                    reply = await ScalarAsync(connection, transaction, sql, token);
                }
                catch (DbException) when (end == TransactionEnd.CommitWhateverFails)
                {
                }
            }

            while (end == TransactionEnd.Late && !deadline.HasPassed()) await Task.Delay(10, CancellationToken.None);
            return end switch
            {
                TransactionEnd.Commit or TransactionEnd.Late or TransactionEnd.CommitWhateverFails => reply,
                TransactionEnd.NotFound => Reply.NotFound<long>(),
                _ => throw new InvalidOperationException("secret"),
            };
        });

    private static async Task<Reply<long>> ScalarAsync(
        DbConnection connection, DbTransaction? transaction, string sql, CancellationToken token)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.Transaction = transaction;
        object? value = await command.ExecuteScalarAsync(token);
        return Reply.Ok(value is null or DBNull ? 0 : Convert.ToInt64(value, CultureInfo.InvariantCulture));
    }
}
