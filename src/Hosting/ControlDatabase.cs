using System.Data.Common;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.MySql;

namespace UPool.Hosting;

/// <summary>The control connections of this process, created on first use; the embedded default has none.</summary>
internal sealed class ControlDatabase(
    IOptions<DatabaseOptions> options,
    ILoggerFactory loggers,
    TimeProvider clock,
    ILeaseKeeper? lease = null) : IAsyncDisposable
{
    private readonly Lazy<ControlConnections> _connections = new(() => new ControlConnections(
        options.Value.ControlConnectionString
            ?? throw new InvalidOperationException(
                $"bug: no {DatabaseOptions.ConnectionStringKey} for the control connections."),
        loggers, clock, lease?.Incarnation));

    /// <summary>Used by the pool and, in a cluster, by the cluster; they outlive both.</summary>
    public ControlConnections Connections => _connections.Value;

    /// <summary>For membership and grain storage.</summary>
    public DbDataSource Storage => Connections.Storage;

    /// <summary>The problem with the database, in one line that changes only with the cause. An exception's own text
    /// may hold counts that change with every attempt, and each change would be logged.</summary>
    public string Describe(Exception exception) => Connections.Health.Problem ?? DatabaseProblem.Describe(exception);

    /// <summary>The problem for the public health endpoints.</summary>
    public string DescribeInPublic => Connections.Health.Problem ?? DatabaseProblem.CannotBeUsed;

    public ValueTask DisposeAsync() =>
        _connections.IsValueCreated ? _connections.Value.DisposeAsync() : ValueTask.CompletedTask;
}
