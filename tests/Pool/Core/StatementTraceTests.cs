using System.Collections.Concurrent;
using System.Data.Common;
using System.Diagnostics;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>A statement's span, as a child of its caller's span.</summary>
public sealed class StatementTraceTests
{
    [Fact]
    public Task Execute_Command_IsASpanOfTheCallers() => PoolHarness.RunAsync(async pool =>
    {
        using var spans = new Spans();
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "UPDATE t SET a = 'secret' WHERE id = @id";
        await pool.FinishAsync(command.ExecuteNonQueryAsync());

        Activity span = spans.One();
        Assert.Equal(spans.Root.SpanId, span.ParentSpanId);
        Assert.Equal("UPDATE db", span.DisplayName);
        Assert.Equal(ActivityKind.Client, span.Kind);
        Assert.Equal(ActivityStatusCode.Unset, span.Status);
        Assert.Equal(
            ("mysql", "db", "UPDATE", "UPDATE t SET a = ? WHERE id = @id", "users"),
            (span.GetTagItem("db.system.name"), span.GetTagItem("db.namespace"), span.GetTagItem("db.operation.name"),
                span.GetTagItem("db.query.text"), span.GetTagItem("db.client.connection.pool.name")));
        Assert.Same(spans.Root, Activity.Current);
    });

    [Fact]
    public Task Execute_ServerFailsIt_TellsTheKindAndNotTheWords() => PoolHarness.RunAsync(async pool =>
    {
        using var spans = new Spans();
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT 1";
        pool.Server.Fail(Step.Statement, DriverFailure.Statement, times: 1);
        await Assert.ThrowsAnyAsync<DbException>(() => pool.FinishAsync(command.ExecuteScalarAsync()));

        Activity span = spans.One();
        Assert.Equal(ActivityStatusCode.Error, span.Status);
        Assert.Equal(nameof(FakeDbException), span.GetTagItem("error.type"));
        Assert.Empty(span.Events);
        Assert.DoesNotContain(span.TagObjects, tag => $"{tag.Value}".Contains(FakeConnector.Secret));
        Assert.Null(span.StatusDescription);
    });

    [Fact]
    public Task Execute_CutOffAtItsDeadline_EndsTheSpanAsAnError() => PoolHarness.RunAsync(async pool =>
    {
        using var spans = new Spans();
        PooledConnection connection = await pool.OpenedAsync(pool.In(500));
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT 1";
        pool.Server.Hold(Step.Statement);
        Task<object?> running = command.ExecuteScalarAsync();
        await pool.HeldAsync(Step.Statement);
        pool.Advance(600);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pool.FinishAsync(running));

        Assert.Equal(nameof(DeadlineExceededException), spans.One().GetTagItem("error.type"));
        connection.Dispose();
    });

    [Fact]
    public Task Execute_ReaderAndItsRows_AreOneSpan() => PoolHarness.RunAsync(async pool =>
    {
        using var spans = new Spans();
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT id FROM t";
        await using (DbDataReader reader = await pool.FinishAsync(command.ExecuteReaderAsync()))
            while (await pool.FinishAsync(reader.ReadAsync())) { }

        Assert.Equal("SELECT id FROM t", spans.One().GetTagItem("db.query.text"));
    });

    [Fact]
    public Task Execute_Batch_IsOneSpanWithEveryText() => PoolHarness.RunAsync(async pool =>
    {
        using var spans = new Spans();
        await using PooledConnection connection = await pool.OpenedAsync();
        await using DbBatch batch = connection.CreateBatch();
        foreach (string text in (string[])["INSERT INTO t VALUES (5)", "DELETE FROM t"])
        {
            DbBatchCommand command = batch.CreateBatchCommand();
            command.CommandText = text;
            batch.BatchCommands.Add(command);
        }

        await pool.FinishAsync(batch.ExecuteNonQueryAsync());

        Assert.Equal("INSERT INTO t VALUES (?); DELETE FROM t", spans.One().GetTagItem("db.query.text"));
    });

    /// <summary>The spans below one span of this test; other tests run at the same time.</summary>
    private sealed class Spans : IDisposable
    {
        private readonly ConcurrentQueue<Activity> _ended = new();
        private readonly ActivityListener _listener;

        public Spans()
        {
            Root = new Activity("test").Start();
            _listener = new ActivityListener
            {
                ShouldListenTo = static source => source.Name == PooledDataSource.ActivitySourceName,
                Sample = static (ref ActivityCreationOptions<ActivityContext> _) =>
                    ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = span =>
                {
                    if (span.TraceId == Root.TraceId) _ended.Enqueue(span);
                },
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public Activity Root { get; }

        public Activity One() => Assert.Single(_ended);

        public void Dispose()
        {
            _listener.Dispose();
            Root.Dispose();
        }
    }
}
