using MySqlConnector;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Transactions begun by statements, in every form, and ended by the server.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class TextTransactionTests : OnSharedServer
{
    // The server would execute each statement, and half of the transaction would be missing.
    [Theory]
    [InlineData("COMMIT AND CHAIN")]
    [InlineData("/* next */ commit work and chain no release")]
    [InlineData("COMMIT; START TRANSACTION")]
    [InlineData("COMMIT; ROLLBACK")]
    [InlineData("INSERT INTO t VALUES (11, 0); ROLLBACK")]
    [InlineData("SELECT 1; BEGIN")]
    [InlineData("SET autocommit = 1")]
    [InlineData("SET autocommit = 0")]
    [InlineData("ROLLBACK TO mine; BEGIN")]
    public async Task Execute_TransactionWasRolledBackByADeadlock_CommitsNothingAndSendsNothing(string text)
    {
        await using TransactionScene scene = await BeginAsync("BEGIN");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await LoseAsync(scene);

        await AssertOverAsync(scene, text, mayHaveCommitted: false);
        await AssertOverAsync(scene, "INSERT INTO t VALUES (12, 0)", mayHaveCommitted: false);
        await ExecuteAsync(scene.Connection, "ROLLBACK");
        Assert.Equal(0, await scene.CountAsync("id > 9"));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (13, 0)");
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    [Theory]
    [InlineData("COMMIT", 1)]
    [InlineData("ROLLBACK", 0)]
    [InlineData("COMMIT AND CHAIN", 1)]
    [InlineData("BEGIN", 1)]
    [InlineData("BEGIN; INSERT INTO t VALUES (20, 0); COMMIT", 2)]
    public async Task Execute_WithoutAutocommit_TheTransactionBehindTheFirstIsWatchedToo(string end, int stored)
    {
        await using TransactionScene scene = await BeginAsync("SET autocommit = 0");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Connection, end);
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        await LoseAsync(scene);

        await AssertOverAsync(scene, "INSERT INTO t VALUES (12, 0)", mayHaveCommitted: false);
        await AssertOverAsync(scene, "COMMIT", mayHaveCommitted: false);
        await ExecuteAsync(scene.Connection, "ROLLBACK");
        Assert.Equal(stored, await scene.CountAsync("id > 9"));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (13, 0)");
        await ExecuteAsync(scene.Connection, "COMMIT");
        Assert.Equal(stored + 1, await scene.CountAsync("id > 9"));
    }

    [Theory]
    [InlineData("BEGIN", "SET autocommit = 1")]
    [InlineData("BEGIN", "SET @autocommit = 1")]
    [InlineData("BEGIN", "SET @autocommit := 0, @x = 1")]
    [InlineData("SET autocommit = 0", "SET @@session.autocommit = OFF")]
    [InlineData("SET autocommit = 0", "SET @autocommit = 1")]
    [InlineData("SET @x = 1; START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT 1")]
    public async Task Execute_SettingThatLeavesTheTransaction_ItIsStillWatched(string begin, string setting)
    {
        await using TransactionScene scene = await BeginAsync(begin);
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Connection, setting);
        await LoseAsync(scene);

        await AssertOverAsync(scene, "INSERT INTO t VALUES (12, 0)", mayHaveCommitted: false);
        await AssertOverAsync(scene, "COMMIT", mayHaveCommitted: false);
        await ExecuteAsync(scene.Connection, "ROLLBACK");
        Assert.Equal(0, await scene.CountAsync("id > 9"));
    }

    [Theory]
    [InlineData("SET autocommit = 1")]
    [InlineData("SET @@autocommit = ON")]
    public async Task Execute_AutocommitIsBack_CommitsAndIsWatchedNoMore(string on)
    {
        await using TransactionScene scene = await BeginAsync("SET autocommit = 0");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Connection, on);
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (1, 0)"));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        Assert.Equal(2, await scene.CountAsync("id > 9"));
    }

    // No transaction was open, so the server has ended none.
    [Theory]
    [InlineData("COMMIT")]
    [InlineData("ROLLBACK")]
    [InlineData("SET autocommit = 0")]
    public async Task Execute_ErrorBeforeAnythingWasDoneWithoutAutocommit_GoesOn(string before)
    {
        await using TransactionScene scene = await BeginAsync(before);
        await ExecuteAsync(scene.Connection, "SET autocommit = 0");
        await ExecuteAsync(scene.Connection, before);
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(scene.Connection, "SELEC 1"));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Connection, "COMMIT");
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Execute_ScriptFailedBehindItsBegin_TheTransactionThatIsLeftOpenIsWatched()
    {
        await using TransactionScene scene = await BeginAsync("SELECT 1");
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(
            scene.Connection,
            "START TRANSACTION; INSERT INTO t VALUES (10, 0); INSERT INTO t VALUES (1, 0); COMMIT"));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        await LoseAsync(scene);

        await AssertOverAsync(scene, "COMMIT", mayHaveCommitted: false);
        await ExecuteAsync(scene.Connection, "ROLLBACK");
        Assert.Equal(0, await scene.CountAsync("id > 9"));
    }

    [Theory]
    [InlineData("START TRANSACTIO; INSERT INTO t VALUES (10, 0)")]
    [InlineData("BEGIN; COMMIT; INSERT INTO t VALUES (1, 0)")]
    public async Task Execute_ScriptFailedAndNoTransactionIsLeftOpen_GoesOn(string script)
    {
        await using TransactionScene scene = await BeginAsync("SELECT 1");
        await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(scene.Connection, script));
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    [Fact]
    public async Task Execute_AutocommitWasTakenInATransactionOfTheApi_WhatFollowsIsWatched()
    {
        await using TransactionScene scene = await TransactionScene.BeginAsync(Fixture);
        await ExecuteAsync(scene.Connection, "SET autocommit = 0");
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await scene.Transaction.CommitAsync();
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (11, 0)");
        await LoseAsync(scene);

        await AssertOverAsync(scene, "COMMIT", mayHaveCommitted: false);
        await ExecuteAsync(scene.Connection, "ROLLBACK");
        Assert.Equal(1, await scene.CountAsync("id > 9"));
    }

    [Theory]
    [InlineData("ROLLBACK", 0)]
    [InlineData("ROLLBACK AND CHAIN", 0)]
    [InlineData("COMMIT", 1)]
    [InlineData("SELECT 1; ROLLBACK", 0)]
    public async Task Execute_EndByTextInATransactionOfTheApi_IsSaidToBeStoredOnlyPerhaps(string end, int stored)
    {
        await using TransactionScene scene = await TransactionScene.BeginAsync(Fixture);
        await ExecuteAsync(scene.Connection, "INSERT INTO t VALUES (10, 0)");
        await ExecuteAsync(scene.Connection, end);

        var ended = await Assert.ThrowsAsync<TransactionEndedException>(() => scene.Transaction.CommitAsync());
        Assert.Contains("may be stored", ended.Message, StringComparison.Ordinal);
        Assert.Equal(stored, await scene.CountAsync("id > 9"));
    }

    private Task<TransactionScene> BeginAsync(string text) => TransactionScene.BeginAsync(Fixture, text);

    private static Task LoseAsync(TransactionScene scene) =>
        scene.LoseADeadlockAsync(() => ExecuteAsync(scene.Connection, "UPDATE t SET v = 1 WHERE id = 2"));

    private static async Task AssertOverAsync(TransactionScene scene, string text, bool mayHaveCommitted) =>
        Assert.Equal(
            mayHaveCommitted,
            (await Assert.ThrowsAsync<TransactionEndedException>(() => ExecuteAsync(scene.Connection, text)))
                .MayHaveCommitted);
}
