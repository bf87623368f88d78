using System.Diagnostics.Metrics;

namespace UPool.Cluster.Budget;

/// <summary>All instruments of the budget. The ledger's are measured only in the coordinator's process, so a sum over
/// all processes is correct.</summary>
internal sealed class BudgetTelemetry : IDisposable
{
    private readonly Meter _meter = new(PooledDataSource.MeterName);

    // The newest view of the ledger; null in a process without the coordinator.
    private volatile BudgetView? _view;

    public BudgetTelemetry(LeaseHealth lease)
    {
        _meter.CreateObservableGauge(
            "upool.budget.server_connections", () => Of(static view => view.ServerConnections), "{connection}",
            "The most server connections of the whole deployment.");
        _meter.CreateObservableGauge(
            "upool.budget.shared", () => Of(static view => view.Shared), "{connection}",
            "The part of them that the pools share.");
        _meter.CreateObservableGauge(
            "upool.budget.held", () => Of(static view => view.Held), "{connection}",
            "Connections that count as held, including unacknowledged shrinks and dead silos.");
        _meter.CreateObservableGauge(
            "upool.budget.unregistered", () => Of(static view => view.Orphans), "{connection}",
            "Unregistered sessions of the deployment's accounts; they count as used.");
        _meter.CreateObservableGauge(
            "upool.budget.leases", Leases, "{lease}", "Leases on record, by state.");
        _meter.CreateObservableGauge(
            "upool.budget.lease.remaining", () => Left(lease), "s", "How long this process's lease still lasts.");
    }

    /// <summary>The name of a state in metrics and reports.</summary>
    public static string NameOf(LeaseState state) => state switch
    {
        LeaseState.Live => "live",
        LeaseState.Shrinking => "shrinking",
        LeaseState.Expired => "expired",
        LeaseState.Reclaiming => "reclaiming",
        LeaseState.Leaving => "leaving",
        _ => "unheard",
    };

    /// <summary>Publishes the newest view of the ledger.</summary>
    public void Show(BudgetView view) => _view = view;

    /// <summary>Ends the ledger's metrics: the coordinator has left this process.</summary>
    public void Clear() => _view = null;

    public void Dispose() => _meter.Dispose();

    private Measurement<int>[] Of(Func<BudgetView, int> read) => _view is { } view ? [new(read(view))] : [];

    private static Measurement<double>[] Left(LeaseHealth lease) =>
        lease.Left is { } left ? [new(left.TotalSeconds)] : [];

    private IEnumerable<Measurement<int>> Leases() => (_view?.Leases ?? [])
        .GroupBy(static lease => lease.State)
        .Select(static states => new Measurement<int>(
            states.Count(), new KeyValuePair<string, object?>("state", NameOf(states.Key))));
}
