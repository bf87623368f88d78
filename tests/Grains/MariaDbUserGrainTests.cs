using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using MySqlConnector;
using UPool.Cluster;
using UPool.Cluster.Membership;
using UPool.MySql;
using UPool.Testing;

namespace UPool.Grains.Tests;

/// <summary>The users' grain on the real server.</summary>
public sealed class MariaDbUserGrainTests(MariaDbFixture fixture)
    : UserGrainTests(fixture), IClassFixture<MariaDbFixture>
{
    [Fact]
    public async Task Script_TableThatExists_IsNeverAlteredOrSeeded()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString, migrate: false);
        await users.ExecuteAsync(
            "CREATE TABLE tb1 (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(10) NULL)");
        await users.ExecuteAsync("INSERT INTO tb1 (name) VALUES ('Ada'), (NULL)");

        await MariaDbFixture.MigrateAsync(users.Pool);

        Assert.Equal(["Ada", ""], await users.NamesAsync());
        Assert.Equal("0123456789", UserHost.Ok(await users.CreateAsync("0123456789")).Name);
        Reply<User> tooLong = await users.CreateAsync("0123456789x");
        Assert.Equal("name is longer than 10 characters", tooLong.Detail);
    }

    [Fact]
    public async Task Create_CharacterTheColumnCannotHold_IsInvalid()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString, migrate: false);
        await users.ExecuteAsync(
            "CREATE TABLE tb1 (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(10) NOT NULL) CHARACTER SET latin1");

        Assert.Equal(ReplyStatus.Invalid, (await users.CreateAsync("文")).Status);
        Assert.Equal(ReplyStatus.Invalid, (await users.CreateBatchAsync(["ok", "文"])).Status);
        Assert.Equal("é", UserHost.Ok(await users.CreateAsync("é")).Name);
        Assert.Equal(["é"], await users.NamesAsync());
    }

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task Write_ServerIsNotStrict_NoNameIsAlteredInSilence()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync("--sql-mode=");
        await using UserHost users = await MariaDbFixture.StartAsync(server.ConnectionString(), migrate: false);
        await users.ExecuteAsync(
            "CREATE TABLE tb1 (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(10) NOT NULL) CHARACTER SET latin1");
        User ada = UserHost.Ok(await users.CreateAsync("Ada"));

        Assert.Equal(ReplyStatus.Invalid, (await users.CreateAsync("文")).Status);
        Assert.Equal(ReplyStatus.Invalid, (await users.RenameAsync(ada.Id, "文")).Status);
        Assert.Equal(ReplyStatus.Invalid, (await users.CreateBatchAsync(["ok", "文"])).Status);

        // Narrower than the grain knows.
        await users.ExecuteAsync("ALTER TABLE tb1 MODIFY name VARCHAR(5) NOT NULL");
        Assert.Equal(ReplyStatus.Invalid, (await users.CreateAsync("0123456789")).Status);
        Assert.Equal(["Ada"], await users.NamesAsync());

        // The grain's sql_mode is its own: the next renter has the server's.
        await users.ExecuteAsync("INSERT INTO tb1 (name) VALUES ('0123456789')");
        Assert.Equal(["Ada", "01234"], await users.NamesAsync());
    }

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task Write_ServerModeChangesHowTextIsRead_NamesAreDataAllTheSame()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(
            "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES");
        await using UserHost users =
            await MariaDbFixture.StartAsync(server.ConnectionString() + ";No Backslash Escapes=true");
        string[] names = ["\\", "\\'", "\"", "'; SELECT 1 -- "];

        User[] created = UserHost.Ok(await users.CreateBatchAsync(names));
        Assert.Equal(names, await users.NamesAsync());
        foreach (User user in created) UserHost.Ok(await users.RenameAsync(user.Id, user.Name + "\\"));
        Assert.Equal(names.Select(static name => name + "\\"), await users.NamesAsync());
    }

    [Fact]
    public async Task Write_ColumnWasMadeLonger_LongNamesAreTakenWithoutARestart()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString, migrate: false);
        await users.ExecuteAsync("CREATE TABLE tb1 (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(3) NOT NULL)");
        Assert.Equal("name is longer than 3 characters", (await users.CreateAsync("Edsger")).Detail);

        await users.ExecuteAsync("ALTER TABLE tb1 MODIFY name VARCHAR(6) NOT NULL");

        Reply<User> reply;
        long startedAt = TimeProvider.System.GetTimestamp();
        do
        {
            await Task.Delay(50, TestContext.Current.CancellationToken);
            reply = await users.CreateAsync("Edsger");
        }
        while (reply.Status == ReplyStatus.Invalid
            && TimeProvider.System.GetElapsedTime(startedAt) < TimeSpan.FromSeconds(20));
        Assert.Equal("Edsger", UserHost.Ok(reply).Name);
    }

    [Fact]
    public async Task CreateBatch_LaterStatementFails_KeepsNothingOfTheEarlierOnes()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString);
        await users.ExecuteAsync("ALTER TABLE tb1 ADD UNIQUE (name)");
        await users.CreateAsync("taken");
        string[] names = [.. Enumerable.Range(0, 900).Select(static number => $"user {number}"), "taken"];

        Reply<User[]> reply = await users.CreateBatchAsync(names);

        Assert.Equal(ReplyStatus.Failed, reply.Status);
        Assert.DoesNotContain("taken", reply.Detail, StringComparison.Ordinal);
        Assert.Equal(["taken"], await users.NamesAsync());
    }

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task CreateBatch_ServerThatNumbersInSteps_AnswersTheIdsItGave()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync(
            "--auto-increment-increment=7", "--auto-increment-offset=3", "--max-allowed-packet=16384");
        await using UserHost users = await MariaDbFixture.StartAsync(server.ConnectionString());
        string[] names = [.. Enumerable.Range(0, 100).Select(static n => $"{n:000} {new string('x', 250)}")];

        User[] created = UserHost.Ok(await users.CreateBatchAsync(names));

        Assert.Equal(7, created[1].Id - created[0].Id);
        Assert.Equal(created, UserHost.Ok(await users.ListAsync()).ReadUsers());
    }

    [Fact]
    public async Task Rename_ServerCountsChangedRows_SameNameIsNoMissingUser()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users =
            await MariaDbFixture.StartAsync(database.ConnectionString + ";UseAffectedRows=true");
        User ada = UserHost.Ok(await users.CreateAsync("Ada"));

        Assert.Equal(ada, UserHost.Ok(await users.RenameAsync(ada.Id, "Ada")));
        Assert.Equal(ReplyStatus.NotFound, (await users.RenameAsync(ada.Id + 1, "Ada")).Status);
    }

    [Fact]
    public async Task AnyCall_TableIsMissing_FailsUntilItIsMade()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString, migrate: false);
        Assert.Equal(ReplyStatus.Failed, (await users.ListAsync()).Status);
        Assert.Equal(ReplyStatus.Failed, (await users.CreateAsync("Ada")).Status);

        await MariaDbFixture.MigrateAsync(users.Pool);

        Assert.Equal("Ada", UserHost.Ok(await users.CreateAsync("Ada")).Name);
    }

    [Fact]
    public async Task AnyCall_TableIsLocked_EndsAtItsDeadlineAndSaysWhatIsKnown()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString);
        await users.CreateAsync("Ada");
        await using var locker = new MySqlConnection(database.ConnectionString);
        await locker.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = locker.CreateCommand();
        command.CommandText = "LOCK TABLES tb1 WRITE";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        Assert.Equal(ReplyStatus.DeadlineExceeded, (await users.ListAsync(due: UserHost.In(0.5))).Status);
        Assert.Equal(ReplyStatus.OutcomeUnknown, (await users.CreateAsync("Grace", UserHost.In(0.5))).Status);
        Reply<User[]> batch = await users.CreateBatchDirectlyAsync(["Edsger"], UserHost.In(0.5));
        Assert.Equal(ReplyStatus.DeadlineExceeded, batch.Status);

        command.CommandText = "UNLOCK TABLES";
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        Assert.DoesNotContain("Edsger", await users.NamesAsync());
    }

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task Reads_ManyInARow_NeedNoReset()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(server.ConnectionString());
        User ada = UserHost.Ok(await users.CreateAsync("Ada"));
        await using var observer = new MySqlConnection(server.ConnectionString());
        await observer.OpenAsync(TestContext.Current.CancellationToken);
        await users.GetAsync(ada.Id);

        // The write's own reset runs after its reply.
        await users.AtRestAsync();
        long before = await SetsAsync(observer);

        for (int i = 0; i < 20; i++)
        {
            UserHost.Ok(await users.GetAsync(ada.Id));
            UserHost.Ok(await users.ListAsync());
        }

        Assert.Equal(0, await SetsAsync(observer) - before);
    }

    [Fact]
    public async Task SeedAsync_TableWithRows_IsLeftAlone()
    {
        await using TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        await using UserHost users = await MariaDbFixture.StartAsync(database.ConnectionString);

        Assert.True(await UserSchema.SeedAsync(users.Pool, TestContext.Current.CancellationToken));
        string[] seeds = await users.NamesAsync();
        Assert.False(await UserSchema.SeedAsync(users.Pool, TestContext.Current.CancellationToken));

        Assert.Equal(seeds, await users.NamesAsync());
    }

    // Each reset is followed by a SET NAMES.
    private static async Task<long> SetsAsync(MySqlConnection observer)
    {
        await using MySqlCommand command = observer.CreateCommand();
        command.CommandText =
            $"SELECT VARIABLE_VALUE FROM {Sql.GlobalStatus} WHERE VARIABLE_NAME = 'COM_SET_OPTION'";
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }
}

public sealed class MariaDbFixture : UserHostFixture
{
    public override string Reset => "TRUNCATE TABLE tb1";

    public static Task MigrateAsync(PooledDataSource pool) =>
        SchemaMigrator.ApplyAsync(pool, [UserSchema.Script], NullLogger.Instance);

    public static async Task<UserHost> StartAsync(string connectionString, bool migrate = true)
    {
        var control = new ControlConnections(connectionString);
        PooledDataSource pool = MySqlPool.Create(
            connectionString, new PoolOptions { RentTimeout = TimeSpan.FromSeconds(10) }, control);
        if (migrate) await MigrateAsync(pool);
        return await UserHost.StartAsync(pool, control.DisposeAsync);
    }

    protected override async Task<UserHost> StartAsync()
    {
        TestDatabase database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        return await StartAsync(database.ConnectionString);
    }
}
