using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Workers;
using UPool.Hosting;

namespace UPool.Cluster.Status;

/// <summary>Reads the pools of the cluster, from a silo or from a client of one.</summary>
internal sealed partial class ClusterPoolReader : IPoolsReader
{
    /// <summary>The longest wait for an answer: that of <see cref="IPoolStatusGrain.ReadAll"/>, in which each silo has
    /// a second. Orleans' own timeouts apply only once its part of this process has started: while a start waits for
    /// its budget or its database, a call would wait with it.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(3);

    private readonly IGrainFactory _grains;
    private readonly BudgetOptions _budget;
    private readonly DeploymentIdentity _identity;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly PooledDataSource? _pool;

    // The pool of this process, reported alone if the cluster does not answer; null in a client.
    public ClusterPoolReader(
        IGrainFactory grains,
        IOptions<BudgetOptions> budget,
        DeploymentIdentity identity,
        TimeProvider clock,
        ILogger<ClusterPoolReader> logger,
        PooledDataSource? pool = null)
    {
        _grains = grains;
        _budget = budget.Value;
        _identity = identity;
        _clock = clock;
        _logger = logger;
        _pool = pool;
    }

    /// <summary>Asks every silo, for a few seconds at most. Does not throw if none answers: the report then names the
    /// problem.</summary>
    public async Task<PoolsReport> ReadAsync()
    {
        Task<BudgetReport?> budget = ReadBudgetAsync();
        try
        {
            SiloPool[] silos = await _grains.GetGrain<IPoolStatusGrain>(0).ReadAll().WaitAsync(LongestWait, _clock);
            BudgetReport? report = await budget;
            return new PoolsReport(
                report, [.. silos.Select(static silo => silo.ToReport())],
                _budget.IsOn && report is null ? "The coordinator of the budget does not answer." : null);
        }
        catch (Exception exception)
        {
            // Orleans' client throws too many kinds to list while it is not connected, and an operator needs everything
            // that can still be read.
            if (!WorkerFailures.IsLost(exception)) LogNotRead(exception);
            PoolReport[] own = _pool is null ? [] : [PoolReport.OfThisProcess(_pool, _pool.Health.Problem)];
            return new PoolsReport(await budget, own, "The cluster cannot be asked: " + (own.Length == 0
                ? "no silo answers."
                : "no silo answers; this is the pool of this process alone."));
        }
    }

    private async Task<BudgetReport?> ReadBudgetAsync()
    {
        if (!_budget.IsOn) return null;

        try
        {
            BudgetView view = await _grains.GetGrain<IConnectionBudgetGrain>(_identity.CoordinatorKey).View()
                .WaitAsync(LongestWait, _clock);
            return BudgetReports.Of(view);
        }
        catch (Exception exception)
        {
            if (!WorkerFailures.IsLost(exception)) LogNotRead(exception);
            return null;
        }
    }

    [LoggerMessage(2701, LogLevel.Warning, "The pools of the cluster could not be read.")]
    private partial void LogNotRead(Exception exception);
}
