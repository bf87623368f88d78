using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Workers;
using UPool.Hosting;

namespace UPool.Cluster.Status;

/// <summary>Reads the pools of the cluster, from a silo or from a client of one.</summary>
internal sealed partial class ClusterPoolReader : IPoolsReader
{
    /// <summary>The longest that anybody is asked: as <see cref="IPoolStatusGrain.ReadAll"/>, in which a silo that does
    /// not answer has a second. Orleans' own bounds hold only once its part of this process has started: while a start
    /// waits, for its budget or its database, a call would wait with it.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(3);

    private readonly IGrainFactory _grains;
    private readonly BudgetOptions _budget;
    private readonly DeploymentIdentity _identity;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly PooledDataSource? _pool;

    // The pool is that of this process, shown alone when the cluster cannot be asked; a client has none.
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

    /// <summary>Asks every silo, for a few seconds at most. Does not throw when none answers: the problem says
    /// so.</summary>
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
            // Orleans' client throws more kinds than a list could hold while it is not connected; an operator who looks
            // is helped by whatever can still be seen.
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
