using System.Data.Common;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Statements that fail half-way in non-transactional tables: their first rows stay.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class KeptPartTests : OnSharedServer
{
    private static readonly string[] Engines = ServerFamily.Tested.Name == ServerFamily.MySql
        ? ["MyISAM", "MEMORY"]
        : ["MyISAM", "MEMORY", "Aria"];

    // Each leaves at least one row behind.
    [Theory]
    [InlineData("INSERT INTO kept VALUES (1), (2), (9)")]
    [InlineData("insert into `kept` values (1), (2), (9)")]
    [InlineData("/* c */ INSERT INTO KEPT SELECT 1 UNION ALL SELECT 9")]
    [InlineData("UPDATE kept SET id = 20 ORDER BY id")]
    [InlineData("SET @x = keeps_and_fails()")]
    [InlineData("INSERT INTO seen_by_trigger VALUES (1), (1)")]
    [InlineData("INSERT INTO view_of_kept VALUES (1), (9)")]
    [InlineData("SELECT keeps_and_fails()")]
    [InlineData("INSERT INTO plain SELECT keeps_and_fails()")]
    [InlineData("INSERT INTO {db}.kept VALUES (1), (9)", "USE information_schema")]
    public async Task Classify_StatementFailedAndReachesATableWithoutTransactions_OutcomeIsUnknown(
        string text, string? first = null)
    {
        await MakeAsync();
        await using MySqlConnection observer = await Fixture.ObserveAsync();
        string database = await TextAsync(observer, "SELECT DATABASE()") ?? "";
        foreach (string engine in Engines)
        {
            await ExecuteAsync(observer, $"ALTER TABLE kept ENGINE={engine}");
            await ExecuteAsync(observer, "DELETE FROM kept; INSERT INTO kept VALUES (8), (9)");
            PooledDataSource pool = Fixture.CreatePool(o => o.RentTimeout = TimeSpan.FromSeconds(10));
            await using DbConnection connection = await pool.OpenConnectionAsync();
            if (first is not null) await ExecuteAsync(connection, first);
            var error = await Assert.ThrowsAsync<MySqlException>(
                () => ExecuteAsync(connection, text.Replace("{db}", database, StringComparison.Ordinal)));
            Assert.True(pool.Classify(error) == FailureKind.OutcomeUnknown, $"{engine}: {error.Message}");
        }
    }

    [Theory]
    [InlineData("INSERT INTO plain VALUES (1), (2), (9)")]
    [InlineData("UPDATE plain SET id = 9 WHERE id IN (7, 8)")]
    [InlineData("INSERT INTO nowhere VALUES (1)")]
    [InlineData("INSERT INTO plain VALUE")]
    public async Task Classify_StatementFailedInATableWithTransactions_IsCertain(string text)
    {
        await MakeAsync();
        PooledDataSource pool = Fixture.CreatePool(o => o.RentTimeout = TimeSpan.FromSeconds(10));
        await using DbConnection connection = await pool.OpenConnectionAsync();
        var error = await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, text));
        Assert.Equal(FailureKind.StatementFailed, pool.Classify(error));
        Assert.Equal(3, await ScalarAsync(connection, "SELECT COUNT(*) FROM plain"));
    }

    [Fact]
    public async Task Settle_RowsStayInATableWithoutTransactions_MayBeStored()
    {
        await MakeAsync();
        PooledDataSource pool = Fixture.CreatePool(o => o.RentTimeout = TimeSpan.FromSeconds(10));
        foreach ((string text, bool isKept) in ((string, bool)[])
            [("INSERT INTO kept VALUES (1)", true), ("INSERT INTO plain VALUES (1)", false), ("SELECT 1", false),
                ("INSERT INTO kept VALUES (2), (9)", true)])
        {
            await using var connection = (PooledConnection)await pool.OpenConnectionAsync();
            await using var transaction = (PooledTransaction)await connection.BeginTransactionAsync();
            try
            {
                await ExecuteAsync(connection, text);
            }
            catch (MySqlException)
            {
                // The last statement fails.
            }

            await transaction.SettleAsync();
            Assert.Equal(isKept, transaction.MayHaveCommitted);
        }

        await using MySqlConnection observer = await Fixture.ObserveAsync();
        Assert.Equal(2, await ScalarAsync(observer, "SELECT COUNT(*) FROM kept WHERE id < 8"));
        Assert.Equal(0, await ScalarAsync(observer, "SELECT COUNT(*) FROM plain WHERE id < 7"));
    }

    private async Task MakeAsync()
    {
        await using MySqlConnection observer = await Fixture.ObserveAsync();
        foreach (string text in (string[])
            [
                "CREATE TABLE kept (id INT NOT NULL PRIMARY KEY) ENGINE=MyISAM",
                "INSERT INTO kept VALUES (8), (9)",
                "CREATE TABLE plain (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB",
                "INSERT INTO plain VALUES (7), (8), (9)",
                "CREATE TABLE seen_by_trigger (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB",
                "CREATE TRIGGER writes AFTER INSERT ON seen_by_trigger FOR EACH ROW REPLACE INTO kept VALUES (NEW.id)",
                "CREATE VIEW view_of_kept AS SELECT id FROM kept",
                "CREATE FUNCTION keeps_and_fails() RETURNS INT MODIFIES SQL DATA BEGIN"
                    + " INSERT INTO kept VALUES (1); INSERT INTO kept VALUES (9); RETURN 1; END",
            ])
        {
            await ExecuteAsync(observer, text);
        }
    }
}
