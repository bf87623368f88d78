using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using MySqlConnector;
using Orleans.TestingHost;
using UPool.Cluster.Registration;
using UPool.Cluster.Workers;
using UPool.MySql;
using UPool.Testing;

namespace UPool.Cluster.Tests.Workers;

/// <summary>Each way in which the database can fail a worker, and the reply with what is certain.</summary>
public sealed class WorkerGrainFailureTests : IAsyncLifetime
{
    private readonly string _marker = $"m{Guid.NewGuid():N}";
    private readonly List<Func<ValueTask>> _release = [];
    private TestDatabase _database = null!;
    private PooledDataSource _pool = null!;
    private WorkerClient<ISqlGrain> _client = null!;
    private IGrainFactory _grains = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        _release.Add(_database.DisposeAsync);
        await StartAsync(_database.ConnectionString);
        await RootAsync("CREATE TABLE t (id INT PRIMARY KEY)");
    }

    public async ValueTask DisposeAsync()
    {
        for (int index = _release.Count - 1; index >= 0; index--) await _release[index]();
    }

    [Fact]
    public async Task AnyCall_ServerRefusesTheStatement_Fails()
    {
        await RootAsync("INSERT INTO t VALUES (7)");

        Assert.Equal(ReplyStatus.Failed, (await ReadAsync("SELECT * FROM nowhere")).Status);
        Assert.Equal(ReplyStatus.Failed, (await WriteAsync("INSERT INTO t VALUES (7)")).Status);
        Reply<long> transaction = await TransactAsync(["INSERT INTO t VALUES (8)", "INSERT INTO t VALUES (7)"]);
        Assert.Equal(ReplyStatus.Failed, transaction.Status);

        Assert.Equal(1, await CountAsync());
    }

    [Fact]
    public async Task Read_DeadlinePasses_EndsThen()
    {
        await ReadAsync("SELECT 1");
        var watch = Stopwatch.StartNew();

        Reply<long> reply = await ReadAsync(Sleep, due: 0.5);

        Assert.Equal(ReplyStatus.DeadlineExceeded, reply.Status);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0.5, 1.5);
        await UntilNobodyRunsAsync();
    }

    [Fact]
    public async Task Write_DeadlinePassesWhileItRuns_OutcomeIsUnknown()
    {
        Assert.Equal(ReplyStatus.OutcomeUnknown, (await WriteAsync(Sleep, due: 0.5)).Status);
    }

    [Fact]
    public async Task Transaction_DeadlinePassesBeforeTheCommit_IsKnownToHaveChangedNothing()
    {
        // A direct call: a client whose deadline passes without a reply reports unknown, however certain the silo is.
        Reply<long> reply = await _grains.GetGrain<ISqlGrain>(0).Transaction(
            ["INSERT INTO t VALUES (1)", Sleep], TransactionEnd.Commit, In(0.5), default);

        Assert.Equal(ReplyStatus.DeadlineExceeded, reply.Status);
        await UntilNobodyRunsAsync();
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task Transaction_DeadlinePassesBeforeTheCommitIsSent_IsKnownToHaveChangedNothing()
    {
        Reply<long> reply = await _grains.GetGrain<ISqlGrain>(0).Transaction(
            ["INSERT INTO t VALUES (1)"], TransactionEnd.Late, In(0.5), default);

        Assert.Equal(ReplyStatus.DeadlineExceeded, reply.Status);
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task Write_LaterStatementOfAScriptFails_OutcomeIsUnknown()
    {
        Assert.Equal(
            ReplyStatus.OutcomeUnknown, (await WriteAsync("INSERT INTO t VALUES (1); SELECT * FROM nowhere")).Status);
        Assert.Equal(1, await CountAsync());

        // A read has no unknown outcome.
        Assert.Equal(ReplyStatus.Failed, (await ReadAsync("SELECT 1; SELECT * FROM nowhere")).Status);
    }

    [Fact]
    public async Task AnyCall_ConnectionIsKilled_ReplySaysWhatIsCertain()
    {
        Task<Reply<long>> read = ReadAsync(Sleep);
        await KillAsync();
        Assert.Equal(ReplyStatus.Unavailable, (await read).Status);

        Task<Reply<long>> write = WriteAsync(Sleep);
        await KillAsync();
        Assert.Equal(ReplyStatus.OutcomeUnknown, (await write).Status);

        Task<Reply<long>> transaction = TransactAsync(["INSERT INTO t VALUES (1)", Sleep]);
        await KillAsync();
        Assert.Equal(ReplyStatus.Unavailable, (await transaction).Status);
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task Transaction_ReplyThatIsNotOkOrAnException_IsRolledBack()
    {
        Reply<long> missing = await TransactAsync(["INSERT INTO t VALUES (1)"], TransactionEnd.NotFound);
        Assert.Equal(ReplyStatus.NotFound, missing.Status);
        Reply<long> failed = await TransactAsync(["INSERT INTO t VALUES (2)"], TransactionEnd.Throw);
        Assert.Equal(ReplyStatus.Failed, failed.Status);
        Assert.Null(failed.Detail);
        Assert.Equal(0, await CountAsync());

        Assert.Equal(ReplyStatus.Ok, (await TransactAsync(["INSERT INTO t VALUES (3)"])).Status);
        Assert.Equal(1, await CountAsync());
    }

    [Fact]
    public async Task Transaction_ErrorCaughtAfterADeadlock_FailsAndNothingIsStored()
    {
        await RootAsync("CREATE TABLE pair (id INT PRIMARY KEY, v INT) ENGINE=InnoDB");
        await RootAsync("INSERT INTO pair VALUES (1, 0), (2, 0), (3, 0), (4, 0)");
        await using var other = new MySqlConnection(_database.ConnectionString);
        await other.OpenAsync(TestContext.Current.CancellationToken);
        await OtherAsync("START TRANSACTION");
        for (int id = 2; id <= 4; id++) await OtherAsync($"UPDATE pair SET v = 1 WHERE id = {id}");
        Task<Reply<long>> victim = TransactAsync(
        [
            "UPDATE pair SET v = 2 WHERE id = 1", $"UPDATE pair SET v = 2 WHERE id = 2 /* {_marker} */",
            "INSERT INTO t VALUES (1)",
        ], TransactionEnd.CommitWhateverFails);
        await UntilAsync($"%WHERE id = 2 /* {_marker}%", 1);
        await OtherAsync("UPDATE pair SET v = 1 WHERE id = 1");

        Assert.Equal(ReplyStatus.Failed, (await victim).Status);
        await OtherAsync("ROLLBACK");
        Assert.Equal(0, await CountAsync());

        async Task OtherAsync(string sql)
        {
            await using var command = new MySqlCommand(sql, other);
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
    }

    // Part of it is stored, so no reply may claim that nothing changed.
    [Theory]
    [InlineData("CREATE TABLE x (id INT)", TransactionEnd.NotFound)]
    [InlineData("CREATE TABLE x (id INT)", TransactionEnd.Throw)]
    [InlineData("CREATE TABLE x (id INT)", TransactionEnd.Commit)]
    [InlineData("CREATE TABLE t (id INT)", TransactionEnd.Commit)]
    [InlineData("COMMIT", TransactionEnd.NotFound)]
    [InlineData("/*! COMMIT */", TransactionEnd.Throw)]
    [InlineData("CALL commits()", TransactionEnd.NotFound)]
    [InlineData("CALL commits()", TransactionEnd.Late)]
    [InlineData("CALL commits_and_fails()", TransactionEnd.Commit)]
    public async Task Transaction_StatementOfItCommitted_OutcomeIsUnknown(string sql, TransactionEnd end)
    {
        await RootAsync("CREATE PROCEDURE commits() COMMIT");
        await RootAsync("CREATE PROCEDURE commits_and_fails() BEGIN COMMIT; SELECT * FROM nowhere; END");
        Reply<long> reply = await TransactAsync(
            ["INSERT INTO t VALUES (1)", sql], end, end == TransactionEnd.Late ? 1 : 20);
        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.Equal(1, await CountAsync());
    }

    [Theory]
    [InlineData("CALL keeps()", TransactionEnd.NotFound, ReplyStatus.NotFound)]
    [InlineData("CALL keeps()", TransactionEnd.Throw, ReplyStatus.Failed)]
    [InlineData("CALL fails()", TransactionEnd.Commit, ReplyStatus.Failed)]
    public async Task Transaction_ProcedureThatDoesNotCommit_SaysNothingWasChangedWhereTheServerSaidSo(
        string sql, TransactionEnd end, ReplyStatus said)
    {
        await RootAsync("CREATE PROCEDURE keeps() INSERT INTO t VALUES (2)");
        await RootAsync("CREATE PROCEDURE fails() BEGIN INSERT INTO t VALUES (2); SELECT * FROM nowhere; END");
        Assert.Equal(said, (await TransactAsync(["INSERT INTO t VALUES (1)", sql], end)).Status);
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task Write_SecondStatementOfItFails_OutcomeIsUnknown()
    {
        Reply<long> reply = await _client.WriteAsync(
            (grain, d, t) => grain.WriteEach(
                ["SELECT 1", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"], d, t),
            In(20), default);
        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.Equal(1, await CountAsync());

        Reply<long> first = await _client.WriteAsync(
            (grain, d, t) => grain.WriteEach(["SELECT 1", "INSERT INTO t VALUES (1)"], d, t), In(20), default);
        Assert.Equal(ReplyStatus.Failed, first.Status);
    }

    // A SELECT that writes, and a table that keeps the changes of a failed statement.
    [Theory]
    [InlineData("SELECT writes()", "INSERT INTO t VALUES (1)")]
    [InlineData("SELECT `writes` ( )", "SELEC 1")]
    [InlineData("DO writes()", "INSERT INTO t VALUES (1)")]
    [InlineData("SET @x = writes()", "INSERT INTO t VALUES (1)")]
    [InlineData("WITH q AS (SELECT writes() x) SELECT x FROM q", "SELECT * FROM nowhere")]
    [InlineData("PREPARE s FROM 'INSERT INTO t VALUES (1)'; EXECUTE s", "EXECUTE s")]
    [InlineData("SELECT 1", "INSERT INTO kept VALUES (1), (2), (1)")]
    public async Task Write_SomethingOfItIsStoredAndItFails_OutcomeIsUnknown(string first, string failing)
    {
        await RootAsync("INSERT INTO t VALUES (0)");
        await RootAsync("CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=MyISAM");
        await RootAsync(
            "CREATE FUNCTION writes() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (1); RETURN 1; END");
        Reply<long> reply = await _client.WriteAsync(
            (grain, d, t) => grain.WriteEach([first, failing], d, t), In(20), default);
        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.True(await CountAsync() + await RootAsync("SELECT COUNT(*) FROM kept") > 1);
    }

    // INV-9: the return rolls back an open transaction, so Ok would be wrong.
    [Theory]
    [InlineData("BEGIN", "INSERT INTO t VALUES (1)")]
    [InlineData("START TRANSACTION; INSERT INTO t VALUES (1)", "SELECT 1")]
    [InlineData("SET autocommit = 0", "INSERT INTO t VALUES (1)")]
    [InlineData("SET autocommit = 0; COMMIT", "UPDATE t SET id = 5")]
    [InlineData("BEGIN; COMMIT AND CHAIN", "REPLACE INTO t VALUES (1)")]
    public async Task Write_TransactionIsLeftOpen_IsNeverOk(string begin, string write)
    {
        await RootAsync("INSERT INTO t VALUES (0)");
        Reply<long> reply = await _client.WriteAsync(
            (grain, d, t) => grain.WriteEach([begin, write], d, t), In(20), default);
        Assert.Equal(ReplyStatus.OutcomeUnknown, reply.Status);
        Assert.Equal(1, await RootAsync("SELECT COUNT(*) FROM t WHERE id = 0"));
        Assert.Equal(1, await CountAsync());
    }

    [Theory]
    [InlineData("BEGIN; INSERT INTO t VALUES (1)", "COMMIT")]
    [InlineData("SET autocommit = 0; INSERT INTO t VALUES (1)", "SET autocommit = 1")]
    [InlineData("INSERT INTO t VALUES (1)", "SELECT writes_not()")]
    public async Task Write_TransactionIsEnded_IsOk(string first, string second)
    {
        await RootAsync("CREATE FUNCTION writes_not() RETURNS INT DETERMINISTIC RETURN 1");
        Reply<long> reply = await _client.WriteAsync(
            (grain, d, t) => grain.WriteEach([first, second], d, t), In(20), default);
        Assert.Equal(ReplyStatus.Ok, reply.Status);
        Assert.Equal(1, await CountAsync());
    }

    // A rollback undoes only changes to transactional tables.
    [Theory]
    [InlineData("INSERT INTO kept VALUES (1)", TransactionEnd.NotFound, ReplyStatus.OutcomeUnknown)]
    [InlineData("INSERT INTO kept VALUES (1)", TransactionEnd.Throw, ReplyStatus.OutcomeUnknown)]
    [InlineData("INSERT INTO kept VALUES (1), (1)", TransactionEnd.Commit, ReplyStatus.OutcomeUnknown)]
    [InlineData("INSERT INTO seen VALUES (1)", TransactionEnd.NotFound, ReplyStatus.OutcomeUnknown)]
    [InlineData("SELECT * FROM kept", TransactionEnd.NotFound, ReplyStatus.NotFound)]
    public async Task Transaction_TableKeepsWhatIsRolledBack_OutcomeIsUnknown(
        string sql, TransactionEnd end, ReplyStatus said)
    {
        await RootAsync("CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=MyISAM");
        await RootAsync("CREATE TABLE seen (id INT PRIMARY KEY) ENGINE=InnoDB");
        await RootAsync("CREATE TRIGGER sees AFTER INSERT ON seen FOR EACH ROW INSERT INTO kept VALUES (NEW.id)");
        Assert.Equal(said, (await TransactAsync(["INSERT INTO t VALUES (1)", sql], end)).Status);
        Assert.Equal(0, await CountAsync());
        Assert.Equal(said == ReplyStatus.OutcomeUnknown ? 1 : 0, await RootAsync("SELECT COUNT(*) FROM kept"));
    }

    // A bug in the worker's own code tells nothing about the database.
    [Theory]
    [InlineData("http")]
    [InlineData("io")]
    [InlineData("end")]
    [InlineData("disposed")]
    [InlineData("timeout")]
    [InlineData("cancelled")]
    [InlineData("aggregate")]
    public async Task AnyCall_OwnCodeThrows_FailsAndTheSessionsStay(string failure)
    {
        Reply<long> read = await _client.ReadAsync((grain, d, t) => grain.ReadAndFail(failure, d, t), In(20), default);
        Assert.Equal(ReplyStatus.Failed, read.Status);
        Reply<long> write = await _client.WriteAsync(
            (grain, d, t) => grain.WriteAndFail(["SELECT 1"], failure, d, t), In(20), default);
        Assert.Equal(failure == "cancelled" ? ReplyStatus.OutcomeUnknown : ReplyStatus.Failed, write.Status);
        Assert.All(_pool.Snapshot().Closed, static one => Assert.Equal((one.Key, 0), (one.Key, one.Value)));

        // The writes before it are stored.
        write = await _client.WriteAsync(
            (grain, d, t) => grain.WriteAndFail(["INSERT INTO t VALUES (1)"], failure, d, t), In(20), default);
        Assert.Equal(ReplyStatus.OutcomeUnknown, write.Status);
        Assert.Equal(1, await CountAsync());
    }

    [Fact]
    public async Task AnyCall_PoolIsBusy_IsRefusedWithTheReason()
    {
        Task<Reply<long>>[] holders = [ReadAsync(Sleep, due: 3), ReadAsync(Sleep, due: 3)];
        await UntilAsync(2);

        Reply<long> read = await ReadAsync("SELECT 1");
        Reply<long> write = await WriteAsync("INSERT INTO t VALUES (1)");

        Assert.Equal((ReplyStatus.Refused, RefusalReason.TimedOut), (read.Status, read.Refusal));
        Assert.Equal((ReplyStatus.Refused, RefusalReason.TimedOut), (write.Status, write.Refusal));
        await Task.WhenAll(holders);
    }

    [Fact]
    public async Task AnyCall_DatabaseIsAway_IsUnavailable()
    {
        await StartAsync(new MySqlConnectionStringBuilder(_database.ConnectionString)
        {
            Server = "127.0.0.1",
            Port = (uint)FreePort.Next(),
        }.ConnectionString);

        Assert.Equal(ReplyStatus.Unavailable, (await ReadAsync("SELECT 1")).Status);
        Assert.Equal(ReplyStatus.Unavailable, (await WriteAsync("INSERT INTO t VALUES (1)")).Status);
        Assert.Equal(ReplyStatus.Unavailable, (await TransactAsync(["INSERT INTO t VALUES (1)"])).Status);
    }

    [Fact]
    public async Task AnyCall_CallerLeaves_StatementIsEndedOnTheServer()
    {
        using var leaving = new CancellationTokenSource();
        Task<Reply<long>> read = ReadAsync(Sleep, token: leaving.Token);
        await UntilAsync(1);

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        await UntilNobodyRunsAsync();
        Assert.Equal(1, (await ReadAsync("SELECT 1")).Value);
    }

    private string Sleep => $"SELECT SLEEP(30) /* {_marker} */";

    private async Task StartAsync(string connectionString)
    {
        var control = new ControlConnections(connectionString);
        _release.Add(control.DisposeAsync);
        _pool = MySqlPool.Create(connectionString, new PoolOptions { MaxConnections = 2 }, control);
        _release.Add(_pool.DisposeAsync);
        var builder = new InProcessTestClusterBuilder(1);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.AddWorkers();
            silo.Services.AddSingleton(_pool);
        });
        builder.ConfigureClient(static client =>
        {
            client.AddWorkers();

            // A hedged second attempt would use the other connection.
            client.Services.Configure<WorkerClientOptions>(static options => options.MaxAskings = 1);
        });
        InProcessTestCluster cluster = builder.Build();
        await cluster.DeployAsync();
        _release.Add(cluster.DisposeAsync);
        _grains = cluster.Client;
        _client = cluster.Client.ServiceProvider.GetRequiredService<WorkerClient<ISqlGrain>>();
    }

    private Task<Reply<long>> ReadAsync(string sql, double due = 20, CancellationToken token = default) =>
        _client.ReadAsync((grain, d, t) => grain.Read(sql, d, t), In(due), token);

    private Task<Reply<long>> WriteAsync(string sql, double due = 20) =>
        _client.WriteAsync((grain, d, t) => grain.Write(sql, d, t), In(due), default);

    private Task<Reply<long>> TransactAsync(
        string[] statements, TransactionEnd end = TransactionEnd.Commit, double due = 20) =>
        _client.WriteAsync(
            (grain, d, t) => grain.Transaction(statements, end, d, t), In(due), default);

    private static Deadline In(double seconds) => Deadline.After(TimeSpan.FromSeconds(seconds));

    private async Task<long> CountAsync() => (await RootAsync("SELECT COUNT(*) FROM t"))!.Value;

    // Waits until the session is gone: a killed thread is listed for a moment with its last statement.
    private async Task KillAsync()
    {
        await UntilAsync(1);
        await RootAsync($"KILL {await RootAsync($"SELECT ID {Running}")}");
        await UntilAsync(0);
    }

    private Task UntilNobodyRunsAsync() => UntilAsync(0);

    private string Running => Like($"%SLEEP(30) /* {_marker}%");

    private static string Like(string text) =>
        $"FROM {Sql.ProcessList} WHERE INFO LIKE '{text}' AND ID <> CONNECTION_ID()";

    private Task UntilAsync(int running) => UntilAsync($"%SLEEP(30) /* {_marker}%", running);

    // The server has no event for the start of a statement.
    private async Task UntilAsync(string text, int running)
    {
        var watch = Stopwatch.StartNew();
        while (await RootAsync($"SELECT COUNT(*) {Like(text)}") is var count && count != running)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), $"{count} statements run, not {running}.");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    private async Task<long?> RootAsync(string sql)
    {
        await using var connection = new MySqlConnection(_database.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using MySqlCommand command = connection.CreateCommand();
        command.CommandText = sql;
        object? value = await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
        return value is null or DBNull ? null : Convert.ToInt64(value, CultureInfo.InvariantCulture);
    }
}
