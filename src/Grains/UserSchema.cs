using System.Data.Common;
using Dapper;
using UPool.Cluster.Membership;

namespace UPool.Grains;

/// <summary>The users' table. Created only if absent, never altered, and seeded only on request.</summary>
public static class UserSchema
{
    /// <summary>The table.</summary>
    public const string Table = "tb1";

    private const string CreateSqliteTable =
        "CREATE TABLE IF NOT EXISTS `tb1` (`id` INTEGER PRIMARY KEY AUTOINCREMENT, `name` TEXT NOT NULL)";

    private static readonly TimeSpan SetupTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(50);

    // A few users for a first list, one with a non-ASCII name.
    private static readonly string[] Seeds = ["Ada", "Grace", "Edsger", "Barbara", "文字化け"];

    /// <summary>The migration on MySQL and MariaDB.</summary>
    public static SchemaScript Script { get; } = new("tb1", """
        CREATE TABLE IF NOT EXISTS `tb1` (
            `id` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
            `name` VARCHAR(255) NOT NULL
        ) DEFAULT CHARACTER SET utf8mb4;
        """);

    /// <summary>Creates and seeds the embedded table if it is absent.</summary>
    public static async Task CreateEmbeddedAsync(PooledDataSource pool, CancellationToken cancellationToken)
    {
        await using PooledConnection connection = await RentPatientlyAsync(pool, cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        long tables = await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = @Table", new { Table }, transaction,
            cancellationToken: cancellationToken));
        if (tables > 0) return;

        await connection.ExecuteAsync(
            new CommandDefinition(CreateSqliteTable, transaction: transaction, cancellationToken: cancellationToken));
        await InsertSeedsAsync(SqlDialect.Sqlite, connection, transaction, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Seeds the table on MySQL or MariaDB if it is empty.</summary>
    /// <returns>Whether it was empty.</returns>
    public static async Task<bool> SeedAsync(DbDataSource database, CancellationToken cancellationToken)
    {
        await using DbConnection connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        long? first = await connection.ExecuteScalarAsync<long?>(new CommandDefinition(
            "SELECT `id` FROM `tb1` LIMIT 1 FOR UPDATE",
            transaction: transaction,
            cancellationToken: cancellationToken));
        if (first is not null) return false;

        await InsertSeedsAsync(SqlDialect.MySql, connection, transaction, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    // A rent times out as for a request. The first rent of a process on a busy machine may take longer, and no caller
    // waits for a reply yet.
    private static async Task<PooledConnection> RentPatientlyAsync(
        PooledDataSource pool, CancellationToken cancellationToken)
    {
        var patience = Deadline.After(SetupTimeout);
        RentResult rent = await pool.RentAsync(cancellationToken: cancellationToken);
        while (!rent.IsRented && !patience.HasPassed())
        {
            await Task.Delay(RetryInterval, TimeProvider.System, cancellationToken);
            rent = await pool.RentAsync(cancellationToken: cancellationToken);
        }

        return rent.GetConnectionOrThrow();
    }

    private static async Task InsertSeedsAsync(
        SqlDialect dialect, DbConnection connection, DbTransaction transaction,
        CancellationToken cancellationToken)
    {
        (string text, DynamicParameters parameters) = UserStatements.For(dialect).CreateAll(Seeds);
        await connection.ExecuteAsync(
            new CommandDefinition(text, parameters, transaction, cancellationToken: cancellationToken));
    }
}
