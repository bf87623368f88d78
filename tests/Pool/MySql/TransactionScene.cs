using System.Data.Common;

using MySqlConnector;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>A renter in a transaction, and another session that conflicts with it.</summary>
internal sealed record TransactionScene(
    PooledDataSource Pool, PooledConnection Connection, DbTransaction Transaction, MySqlConnection Other)
    : IAsyncDisposable
{
    /// <summary>The statements that create table t and its nine rows.</summary>
    public static readonly string[] Tables =
    [
        "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL CHECK (v >= 0)) ENGINE=InnoDB",
        "INSERT INTO t VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0)",
    ];

    /// <summary>Begins a transaction, through the API or with a statement.</summary>
    public static async Task<TransactionScene> BeginAsync(MySqlPoolFixture fixture, string? byText = null)
    {
        PooledDataSource pool = fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(10);
        });
        MySqlConnection other = await fixture.ObserveAsync();
        foreach (string table in Tables) await ExecuteAsync(other, table);
        await ExecuteAsync(other, "CREATE PROCEDURE keeps() SELECT 1");
        await ExecuteAsync(other, "CREATE PROCEDURE commits() BEGIN COMMIT; SELECT 1; END");
        await ExecuteAsync(other, "CREATE PROCEDURE commits_and_begins() BEGIN COMMIT; START TRANSACTION; END");
        await ExecuteAsync(
            other,
            "CREATE PROCEDURE begins_and_fails() BEGIN START TRANSACTION; INSERT INTO t VALUES (20, 0);"
            + " INSERT INTO t VALUES (1, 0); COMMIT; END");
        PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow();
        DbTransaction transaction = null!;
        if (byText is null) transaction = await connection.BeginTransactionAsync();
        else await ExecuteAsync(connection, byText);
        return new TransactionScene(pool, connection, transaction, other);
    }

    /// <summary>Makes the renter's transaction the victim of a deadlock, with a statement that locks row 2.</summary>
    public async Task LoseADeadlockAsync(Func<Task> askForRow2)
    {
        await ExecuteAsync(Connection, "UPDATE t SET v = 1 WHERE id = 1");

        // The lighter transaction is the victim. One row at a time: a range would lock the renter's own rows.
        await ExecuteAsync(Other, "START TRANSACTION");
        for (int id = 2; id <= 9; id++) await ExecuteAsync(Other, $"UPDATE t SET v = 2 WHERE id = {id}");
        Task asking = askForRow2();
        Task crossing = ExecuteAsync(Other, "UPDATE t SET v = 2 WHERE id = 1");
        var error = await Assert.ThrowsAsync<MySqlException>(() => asking);
        Assert.Equal(MySqlErrorCode.LockDeadlock, error.ErrorCode);
        await crossing;
        await ExecuteAsync(Other, "COMMIT");
    }

    /// <summary>The number of rows that another session sees.</summary>
    public Task<long> CountAsync(string where) => ScalarAsync(Other, $"SELECT COUNT(*) FROM t WHERE {where}");

    public async ValueTask DisposeAsync()
    {
        await Connection.DisposeAsync();
        await Other.DisposeAsync();
    }
}
