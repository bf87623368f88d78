using System.Data.Common;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Hosting;

/// <summary>The control connections of this process, made when they are first needed: the embedded default has
/// none.</summary>
internal sealed class ControlDatabase(
    IOptions<DatabaseOptions> options,
    IOptions<BudgetOptions> budget,
    DeploymentIdentity identity,
    ILoggerFactory loggers,
    TimeProvider clock) : IAsyncDisposable
{
    private readonly Lazy<ControlConnections> _connections = new(() => new ControlConnections(
        options.Value.ControlConnectionString
            ?? throw new InvalidOperationException(
                $"bug: no {DatabaseOptions.ConnectionStringKey} for the control connections."),
        loggers, clock, budget.Value.IsOn ? identity.Incarnation : null));

    private OrleansDataSource? _forOrleans;

    /// <summary>Shared by the pool and by Orleans; they outlive both.</summary>
    public ControlConnections Connections => _connections.Value;

    /// <summary>For membership and grain storage.</summary>
    public DbDataSource Storage => Connections.Storage;

    /// <summary>The same, in the shape that Orleans accepts.</summary>
    public DbDataSource ForOrleans => _forOrleans ??= new OrleansDataSource(Storage);

    /// <summary>What ails the database, in one plain line that stays the same while the cause does: an exception's own
    /// text may hold counts that change with every attempt, and each change would be told anew.</summary>
    public string Describe(Exception exception) => Connections.Health.Problem ?? SchemaCheck.Describe(exception);

    /// <summary>The same for anybody who may read health.</summary>
    public string DescribeInPublic => Connections.Health.Problem ?? SchemaCheck.CannotBeUsed;

    public ValueTask DisposeAsync() =>
        _connections.IsValueCreated ? _connections.Value.DisposeAsync() : ValueTask.CompletedTask;
}
