using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Dirties everything that INV-5 lists, and shows what the next renter would see of it.</summary>
internal static class DirtySession
{
    // One statement, because each statement changes what the next one would see. Converted to text, because an unset
    // variable would make it binary, and every byte array has the same text.
    private static readonly string Facts =
        "SELECT CONVERT(CONCAT_WS('|', FOUND_ROWS(), ROW_COUNT(), @@warning_count, @@error_count, @@autocommit, "
        + $"@@{Sql.IsolationVariable}, @@sql_mode, @@time_zone, "
        + "@@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection, "
        + "IFNULL(DATABASE(), '-'), IFNULL(CURRENT_ROLE(), '-'), IFNULL(@x, '-'), LAST_INSERT_ID(), "
        + $"{Sql.InTransaction}, IFNULL(IS_USED_LOCK('l'), '-'), "
        + "@@foreign_key_checks, @@sql_select_limit) USING utf8mb4)";

    /// <summary>The session's state; call it before anything else is executed.</summary>
    public static Task<string?> FactsAsync(DbConnection connection) => TextAsync(connection, Facts);

    /// <summary>Dirties everything. Needs the table <c>t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)</c>.</summary>
    public static async Task DirtyAsync(DbConnection connection, string database)
    {
        await ExecuteAsync(connection, "INSERT INTO t (v) VALUES (1)");
        await ExecuteAsync(connection, "SET autocommit = 0");
        await ExecuteAsync(connection, "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        await ExecuteAsync(connection, "SET sql_mode = '', time_zone = '+05:00', foreign_key_checks = 0, @x = 5");
        await ExecuteAsync(connection, "SET sql_select_limit = 3");
        await ExecuteAsync(connection, "SET NAMES latin1");
        await ExecuteAsync(connection, "SELECT GET_LOCK('l', 0)");
        await ExecuteAsync(connection, "CREATE TEMPORARY TABLE tt (id INT)");
        await ExecuteAsync(connection, "PREPARE p FROM 'SELECT 1'");
        await ExecuteAsync(connection, "USE information_schema");
        await ExecuteAsync(connection, $"USE `{database}`");
        await ExecuteAsync(connection, "INSERT INTO t (v) VALUES (2)");

        // A temporary table hides the real one; the last statement leaves warnings and rows.
        await ExecuteAsync(connection, "CREATE TEMPORARY TABLE t (id INT, v INT)");
        await ExecuteAsync(connection, $"SELECT 1/0, CAST('x' AS SIGNED) FROM {Sql.Sequence(3)}");
        await connection.ChangeDatabaseAsync("information_schema");
    }

    /// <summary>Checks the state that no variable shows: handles and temporary tables.</summary>
    public static async Task AssertNothingLeftAsync(DbConnection connection)
    {
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, "EXECUTE p"));
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, "SELECT * FROM tt"));
    }
}
