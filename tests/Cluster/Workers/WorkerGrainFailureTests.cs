using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using MySqlConnector;
using Orleans.TestingHost;
using UPool.Cluster.Workers;
using UPool.MySql;
using UPool.Testing;

namespace UPool.Cluster.Tests.Workers;

/// <summary>Each way in which the database can fail a worker, and the reply that says what is certain.</summary>
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
        // Asked directly: a caller that has not heard by its deadline cannot know, however certain the silo is.
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

        // A read has nothing to be unknown.
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

            // A second asking would take the other connection.
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

    // Waits until it is gone: a thread that was killed is listed for a moment with the statement it had.
    private async Task KillAsync()
    {
        await UntilAsync(1);
        await RootAsync($"KILL {await RootAsync($"SELECT ID {Running}")}");
        await UntilAsync(0);
    }

    private Task UntilNobodyRunsAsync() => UntilAsync(0);

    private string Running =>
        $"FROM {Sql.ProcessList} WHERE INFO LIKE '%SLEEP(30) /* {_marker}%' AND ID <> CONNECTION_ID()";

    // The server has no event for a statement that has begun.
    private async Task UntilAsync(int running)
    {
        var watch = Stopwatch.StartNew();
        while (await RootAsync($"SELECT COUNT(*) {Running}") is var count && count != running)
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
