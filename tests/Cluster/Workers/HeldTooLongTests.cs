using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans.TestingHost;
using UPool.Cluster.Registration;
using UPool.Sqlite;

namespace UPool.Cluster.Tests.Workers;

/// <summary>The report of a rent held too long must name the grain's line, not its base class's.</summary>
public sealed class HeldTooLongTests
{
    [Fact]
    public async Task ReadAndWrite_HeldTooLong_AreReportedWithTheGrainsOwnLine()
    {
        string folder = Directory.CreateTempSubdirectory("upool-held-").FullName;
        using var reports = new Reports();
        await using PooledDataSource pool = SqlitePool.Create(
            Path.Combine(folder, "held.db"),
            new PoolOptions { HeldTooLongTimeout = TimeSpan.FromMilliseconds(100), RentTimeout = ProbeCluster.Bound },
            reports);
        var board = new Board
        {
            OnAsk = async (_, silo, _, token) =>
            {
                await reports.Both.WaitAsync(ProbeCluster.Bound, token);
                return Reply.Ok(silo);
            },
        };
        var builder = new InProcessTestClusterBuilder(1);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.AddWorkers();
            silo.Services.AddSingleton(board);
            silo.Services.AddSingleton(pool);
        });
        await using InProcessTestCluster cluster = builder.Build();
        await cluster.DeployAsync();
        IProbeGrain grain = cluster.Client.GetGrain<IProbeGrain>(0);
        var deadline = Deadline.After(ProbeCluster.Bound);

        Reply<string>[] replies = await Task.WhenAll(grain.Ask(deadline, default), grain.Write(deadline, default));

        Assert.All(replies, static reply => Assert.Equal(ReplyStatus.Ok, reply.Status));
        string said = await reports.Both;
        Assert.Contains("by Ask (ProbeGrain.cs:", said, StringComparison.Ordinal);
        Assert.Contains("by Write (ProbeGrain.cs:", said, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    private sealed class Reports : ILoggerFactory, ILogger
    {
        private readonly TaskCompletionSource<string> _both = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<string> _lines = [];

        public Task<string> Both => _both.Task;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id != 1005) return;

            lock (_lines)
            {
                _lines.Add(formatter(state, exception));
                if (_lines.Count == 2) _both.SetResult(string.Join('\n', _lines));
            }
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
