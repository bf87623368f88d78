using UPool.Cluster;
using UPool.Cluster.Membership;
using UPool.Testing;

namespace UPool.Grains.Tests;

/// <summary>A <c>tb1</c> that another application created: served correctly, reported at the start, or refused. One row
/// must never make a list fail, and no user may be returned other than as stored.</summary>
public sealed class ForeignTableTests : IAsyncLifetime
{
    private const string Id = "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY";

    private TestDatabase _database = null!;
    private UserHost _users = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        _users = await MariaDbFixture.StartAsync(_database.ConnectionString, migrate: false);
    }

    public async ValueTask DisposeAsync()
    {
        await _users.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Table_OfOurOwn_HasNothingToSay()
    {
        await MariaDbFixture.MigrateAsync(_users.Pool);

        await AssertFindingsAsync(null, null);
    }

    [Fact]
    public async Task List_IdsBeyondWhatCanBeAskedFor_AreLeftOutAndSaid()
    {
        await MakeAsync("id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) NOT NULL",
            "(1, 'first'), (9223372036854775807, 'last'), (9223372036854775808, 'x'), (18446744073709551614, 'y')");

        UserPage page = UserHost.Ok(await _users.ListAsync());

        Assert.Equal([new User(1, "first"), new User(long.MaxValue, "last")], page.ReadUsers());
        Assert.Null(page.Next);
        Assert.Equal("last", UserHost.Ok(await _users.GetAsync(long.MaxValue)).Name);
        await AssertFindingsAsync(null, "Column tb1.id holds ids below 1 or above 9223372036854775807: ");
    }

    [Fact]
    public async Task Create_TheNextIdCannotBeAskedFor_IsNotAnsweredWithAnotherId()
    {
        await MakeAsync("id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) NOT NULL",
            "(9223372036854775807, 'last')");

        Assert.Equal(ReplyStatus.OutcomeUnknown, (await _users.CreateAsync("Ada")).Status);
        Assert.Equal(["last"], await _users.NamesAsync());
    }

    [Theory]
    [InlineData("CHAR(36)", "('6F9619FF-8B86-D011-B42D-00C04FC964FF'), ('no Guid at all'), ('Ada')",
        "6F9619FF-8B86-D011-B42D-00C04FC964FF|no Guid at all|Ada")]
    [InlineData("CHAR(36) CHARACTER SET latin1", "('6F9619FF-8B86-D011-B42D-00C04FC964FF'), ('é')",
        "6F9619FF-8B86-D011-B42D-00C04FC964FF|é")]
    [InlineData("CHAR(36) NULL", "(NULL), ('Ada')", "|Ada")]
    [InlineData("VARCHAR(20) NULL", "(NULL), ('Ada')", "|Ada")]
    [InlineData("VARBINARY(20)", "('Ada'), ('文')", "Ada|文")]
    [InlineData("BLOB", "('Ada')", "Ada")]
    [InlineData("TEXT", "('Ada  ')", "Ada  ")]
    [InlineData("VARCHAR(20) COLLATE utf8mb4_bin", "('Ada  '), ('ada')", "Ada  |ada")]
    [InlineData("VARCHAR(20) CHARACTER SET latin1", "('é')", "é")]
    [InlineData("VARCHAR(20) CHARACTER SET utf16", "('é文')", "é文")]
    [InlineData("ENUM('Ada', 'Grace')", "('Grace')", "Grace")]
    [InlineData("SET('Ada', 'Grace')", "('Ada,Grace')", "Ada,Grace")]
    [InlineData("JSON", "('[\"Ada\"]')", "[\"Ada\"]")]
    [InlineData("INT", "(7)", "7")]
    [InlineData("TINYINT(1)", "(7)", "7")]
    [InlineData("DECIMAL(5,2)", "(1.5)", "1.50")]
    [InlineData("DATE", "('2026-01-02')", "2026-01-02")]
    public async Task Reads_NamesOfAnyType_AreServedAsTheyAre(string type, string values, string names)
    {
        await MakeAsync($"{Id}, name {type}");
        await _users.ExecuteAsync($"INSERT INTO tb1 (name) VALUES {values}");
        string[] expected = names.Split('|');

        Assert.Equal(expected, await _users.NamesAsync());
        Assert.Equal(expected, await _users.NamesAsync());
        User?[] users = UserHost.Ok(await _users.GetManyAsync([.. Enumerable.Range(1, expected.Length)]));
        Assert.Equal(expected, users.Select(static user => user?.Name));
        Assert.Equal(expected[0], UserHost.Ok(await _users.DeleteAsync(1)).Name);
    }

    [Theory]
    [InlineData("TINYINT(1) NOT NULL AUTO_INCREMENT PRIMARY KEY")]
    [InlineData("SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY")]
    [InlineData("MEDIUMINT NOT NULL AUTO_INCREMENT PRIMARY KEY")]
    [InlineData("INT UNSIGNED ZEROFILL NOT NULL AUTO_INCREMENT PRIMARY KEY")]
    [InlineData("DECIMAL(30,0) NOT NULL PRIMARY KEY")]
    public async Task Reads_IdsOfAnyWholeNumber_AreServed(string type)
    {
        await MakeAsync($"id {type}, name CHAR(36)", "(2, 'two'), (1, 'one'), (10, 'ten')");
        if (type.StartsWith("DECIMAL", StringComparison.Ordinal))
            await _users.ExecuteAsync("INSERT INTO tb1 VALUES (123456789012345678901234567890, 'beyond')");

        Assert.Equal(
            [new User(1, "one"), new User(2, "two"), new User(10, "ten")],
            UserHost.Ok(await _users.ListAsync()).ReadUsers());
        Assert.Equal("two", UserHost.Ok(await _users.GetAsync(2)).Name);
    }

    [Theory]
    [InlineData("VARCHAR(20)")]
    [InlineData("CHAR(36)")]
    [InlineData("DOUBLE")]
    [InlineData("DECIMAL(10,2)")]
    [InlineData("DATETIME")]
    [InlineData("BINARY(16)")]
    public async Task Start_IdIsNoWholeNumber_SaysTheColumnAndTheCure(string type)
    {
        await MakeAsync($"id {type} NOT NULL PRIMARY KEY, name VARCHAR(20) NOT NULL");

        await AssertFindingsAsync(
            $"Column tb1.id is {type}: users cannot be read, for an id is a whole number. "
            + "Change it: ALTER TABLE tb1 MODIFY id BIGINT NOT NULL AUTO_INCREMENT.");
    }

    [Fact]
    public async Task List_IdsThatAreNoWholeNumbers_FailsAndIsNeverWrong()
    {
        await MakeAsync("id DECIMAL(10,2) NOT NULL PRIMARY KEY, name CHAR(36)", "(1.50, 'Ada')");
        Assert.Equal(ReplyStatus.Failed, (await _users.ListAsync()).Status);

        await _users.ExecuteAsync("DROP TABLE tb1");
        await MakeAsync("id VARCHAR(10) NOT NULL PRIMARY KEY, name CHAR(36)", "('7 up', 'Ada')");
        Assert.Equal(ReplyStatus.Failed, (await _users.ListAsync()).Status);
    }

    [Theory]
    [InlineData("id", "key_", "Table tb1 has no column `id`: ")]
    [InlineData("name", "title", "Table tb1 has no column `name`: ")]
    public async Task Start_ColumnIsMissing_SaysIt(string column, string instead, string problem)
    {
        await MakeAsync($"{Id}, name VARCHAR(20)".Replace(column + " ", instead + " ", StringComparison.Ordinal));

        await AssertFindingsAsync(problem);
        Assert.Equal(ReplyStatus.Failed, (await _users.ListAsync()).Status);
        Assert.Equal(ReplyStatus.Failed, (await _users.CreateAsync("Ada")).Status);
    }

    [Theory]
    [InlineData("MyISAM")]
    [InlineData("MEMORY")]
    public async Task CreateBatch_TableIsNotTransactional_TakesOneUserAndSaysSo(string engine)
    {
        await MakeAsync($"{Id}, name VARCHAR(20) CHARACTER SET latin1 NOT NULL", options: $"ENGINE = {engine}");

        Reply<User[]> reply = await _users.CreateBatchAsync(["Ada", "文"]);

        Assert.Equal(
            (ReplyStatus.Invalid, "a batch has 1 user here: the table is NOT TRANSACTIONAL"),
            (reply.Status, reply.Detail));
        Assert.Empty(await _users.NamesAsync());
        User ada = Assert.Single(UserHost.Ok(await _users.CreateBatchAsync(["Ada"])));
        Assert.Equal(ada, UserHost.Ok(await _users.DeleteAsync(ada.Id)));
        await AssertFindingsAsync(null, $"Table tb1 is NOT TRANSACTIONAL (engine {engine}): ");
    }

    [Fact]
    public async Task Write_ColumnDropsTrailingSpaces_SuchNamesAreRefused()
    {
        await MakeAsync($"{Id}, name CHAR(20) NOT NULL");
        User ada = UserHost.Ok(await _users.CreateAsync(" Ada"));
        const string Refusal = "name ends in a space, which the column does not keep";

        Assert.Equal(Refusal, (await _users.CreateAsync("Ada  ")).Detail);
        Assert.Equal(Refusal, (await _users.CreateBatchAsync(["Grace", " "])).Detail);
        Assert.Equal(Refusal, (await _users.RenameAsync(ada.Id, "Ada ")).Detail);

        Assert.Equal([" Ada"], await _users.NamesAsync());
        await AssertFindingsAsync(null, "Column tb1.name is CHAR(20), which drops spaces at the end: ");
    }

    [Theory]
    [InlineData("VARCHAR(20)")]
    [InlineData("VARCHAR(20) COLLATE utf8mb4_bin")]
    [InlineData("TINYTEXT")]
    [InlineData("VARBINARY(20)")]
    public async Task Write_NamesWithTrailingSpaces_AreStoredAsGiven(string type)
    {
        await MakeAsync($"{Id}, name {type} NOT NULL");

        Assert.Equal("Ada  ", UserHost.Ok(await _users.CreateAsync("Ada  ")).Name);
        UserHost.Ok(await _users.CreateBatchAsync([" ", "é "]));
        Assert.Equal("Ada   ", UserHost.Ok(await _users.RenameAsync(1, "Ada   ")).Name);

        Assert.Equal(["Ada   ", " ", "é "], await _users.NamesAsync());
        await AssertFindingsAsync(null, null);
    }

    [Theory]
    [InlineData("ENUM('Ada', 'Grace')", "1")]
    [InlineData("JSON", "7")]
    [InlineData("BINARY(5)", "Ada")]
    [InlineData("INT", "07")]
    public async Task Write_ColumnHoldsNoText_IsNotSentAndSaid(string type, string name)
    {
        await MakeAsync($"{Id}, name {type}");

        // MariaDB's JSON is LONGTEXT with a CHECK: it stores the name unchanged or rejects it.
        if (type == "JSON" && (await ReadAsync()).HoldsText)
        {
            Assert.Equal("7", UserHost.Ok(await _users.CreateAsync("7")).Name);
            Assert.Equal(ReplyStatus.Invalid, (await _users.CreateAsync("Ada")).Status);
            return;
        }

        Assert.Equal(ReplyStatus.Failed, (await _users.CreateAsync(name)).Status);
        Assert.Equal(ReplyStatus.Failed, (await _users.RenameAsync(1, name)).Status);
        Assert.Empty(await _users.NamesAsync());
        await AssertFindingsAsync(null, $"Column tb1.name is {type.ToUpperInvariant()[..3]}");
    }

    [Fact]
    public async Task Write_TriggersChangeNames_AreAnsweredAsTheyAreStored()
    {
        await MakeAsync($"{Id}, name VARCHAR(20) NOT NULL");
        await _users.ExecuteAsync(
            "CREATE TRIGGER tb1_insert BEFORE INSERT ON tb1 FOR EACH ROW SET NEW.name = UPPER(NEW.name)");
        await _users.ExecuteAsync(
            "CREATE TRIGGER tb1_update BEFORE UPDATE ON tb1 FOR EACH ROW SET NEW.name = CONCAT(NEW.name, '!')");

        User ada = UserHost.Ok(await _users.CreateAsync("Ada"));
        Assert.Equal("ADA", ada.Name);
        User[] batch = UserHost.Ok(await _users.CreateBatchAsync(["Grace", "Edsger"]));
        Assert.Equal(["GRACE", "EDSGER"], batch.Select(static user => user.Name));
        Assert.Equal("Ada!", UserHost.Ok(await _users.RenameAsync(ada.Id, "Ada")).Name);
        Assert.Equal(["Ada!", "GRACE", "EDSGER"], await _users.NamesAsync());
    }

    [Fact]
    public async Task View_InsteadOfATable_IsReadRenamedAndDeletedButNotCreated()
    {
        await _users.ExecuteAsync($"CREATE TABLE people ({Id}, name VARCHAR(20) NOT NULL)");
        await _users.ExecuteAsync("INSERT INTO people (name) VALUES ('Ada'), ('Grace')");
        await _users.ExecuteAsync("CREATE VIEW tb1 AS SELECT id, name FROM people");

        Assert.Equal(["Ada", "Grace"], await _users.NamesAsync());
        Assert.Equal("Ada", UserHost.Ok(await _users.GetAsync(1)).Name);
        Assert.Equal("Edsger", UserHost.Ok(await _users.RenameAsync(1, "Edsger")).Name);
        UserHost.Ok(await _users.DeleteAsync(2));
        Assert.Equal(ReplyStatus.Failed, (await _users.CreateAsync("Barbara")).Status);
        Assert.Equal(["Edsger"], await _users.NamesAsync());
        await AssertFindingsAsync(null, "tb1 is a view: ");
    }

    [Fact]
    public async Task Create_TableGivesNoIds_IsNotSentAndSaid()
    {
        await MakeAsync("id BIGINT NOT NULL DEFAULT 5 PRIMARY KEY, name VARCHAR(20) NOT NULL", "(1, 'Ada')");

        Assert.Equal(ReplyStatus.Failed, (await _users.CreateAsync("Grace")).Status);
        Assert.Equal("Barbara", UserHost.Ok(await _users.RenameAsync(1, "Barbara")).Name);
        Assert.Equal(["Barbara"], await _users.NamesAsync());
        await AssertFindingsAsync(null, "Column tb1.id is not AUTO_INCREMENT: ");
    }

    [Fact]
    public async Task Create_MoreColumnsAreRequired_FailsAndIsSaid()
    {
        await MakeAsync($"{Id}, name VARCHAR(20) NOT NULL, mail VARCHAR(20) NOT NULL, age INT NOT NULL, "
            + "note VARCHAR(9) NULL, made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, kind ENUM('a', 'b') NOT NULL, "
            + "shout VARCHAR(20) AS (UPPER(name)) STORED, uid VARCHAR(36) NOT NULL DEFAULT (UUID())");

        Assert.Equal(ReplyStatus.Failed, (await _users.CreateAsync("Ada")).Status);
        Assert.Empty(await _users.NamesAsync());
        await AssertFindingsAsync(null, "Table tb1 has columns without a default (mail, age): ");
    }

    [Fact]
    public async Task Write_NameIsGenerated_FailsAndIsSaid()
    {
        await MakeAsync($"{Id}, source VARCHAR(20) NULL, name VARCHAR(20) AS (UPPER(source)) STORED");
        await _users.ExecuteAsync("INSERT INTO tb1 (source) VALUES ('ada')");

        Assert.Equal(["ADA"], await _users.NamesAsync());
        Assert.Equal(ReplyStatus.Failed, (await _users.CreateAsync("Grace")).Status);
        Assert.Equal(ReplyStatus.Failed, (await _users.RenameAsync(1, "Grace")).Status);
        Assert.Equal(["ADA"], await _users.NamesAsync());
        await AssertFindingsAsync(null, "Column tb1.name is generated: ");
    }

    [Fact]
    public async Task Start_IdsNeedNotBeUnique_SaysIt()
    {
        await MakeAsync("id BIGINT NOT NULL AUTO_INCREMENT, tenant INT NOT NULL DEFAULT 0, name VARCHAR(20) NOT NULL, "
            + "PRIMARY KEY (id, tenant)");

        await AssertFindingsAsync(null, "Column tb1.id has no unique index of its own: ");
    }

    [Fact]
    public async Task Write_RuleOfTheTableRefusesTheName_IsInvalid()
    {
        await MakeAsync($"{Id}, name VARCHAR(20) NOT NULL CHECK (name <> 'Eve')");
        UserHost.Ok(await _users.CreateAsync("Ada"));

        Assert.Equal(ReplyStatus.Invalid, (await _users.CreateAsync("Eve")).Status);
        Assert.Equal(ReplyStatus.Invalid, (await _users.RenameAsync(1, "Eve")).Status);
        Assert.Equal(ReplyStatus.Invalid, (await _users.CreateBatchAsync(["Grace", "Eve"])).Status);
        Assert.Equal(["Ada"], await _users.NamesAsync());
    }

    [Fact]
    public async Task Write_NameIsTaken_HasCertainlyChangedNothing()
    {
        await MakeAsync($"{Id}, name VARCHAR(20) NOT NULL UNIQUE", "(1, 'Ada'), (2, 'Grace')");

        Assert.Equal(ReplyStatus.Failed, (await _users.CreateAsync("Ada")).Status);
        Assert.Equal(ReplyStatus.Failed, (await _users.RenameAsync(2, "Ada")).Status);
        Assert.Equal(["Ada", "Grace"], await _users.NamesAsync());
    }

    private async Task MakeAsync(string columns, string? rows = null, string options = "")
    {
        await _users.ExecuteAsync($"CREATE TABLE tb1 ({columns}) {options}");
        if (rows is not null) await _users.ExecuteAsync($"INSERT INTO tb1 VALUES {rows}");
    }

    private async Task<UserTable> ReadAsync()
    {
        RentResult rent = await _users.Pool.RentAsync();
        await using PooledConnection connection = rent.GetConnectionOrThrow();
        return await UserTable.ReadAsync(connection, TestContext.Current.CancellationToken);
    }

    // Each finding must begin with this text; null: no such finding.
    private async Task AssertFindingsAsync(string? problem, string? limit = null)
    {
        RentResult rent = await _users.Pool.RentAsync();
        await using PooledConnection connection = rent.GetConnectionOrThrow();
        TableFindings found = await UserTable.LookAsync(connection, TestContext.Current.CancellationToken);

        AssertBegins(problem is null ? [] : [problem], found.Problems);
        if (problem is null) AssertBegins(limit is null ? [] : [limit], found.Limits);
    }

    private static void AssertBegins(string[] expected, IReadOnlyList<string> found) => Assert.True(
        found.Count == expected.Length
            && found.Zip(expected).All(static pair => pair.First.StartsWith(pair.Second, StringComparison.Ordinal)),
        $"expected: {string.Join(" | ", expected)}; found: {string.Join(" | ", found)}");
}
