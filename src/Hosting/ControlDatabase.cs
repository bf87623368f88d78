using System.Data.Common;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.MySql;

namespace UPool.Hosting;

/// <summary>The control connections of this process, made when they are first needed: the embedded default has
/// none.</summary>
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

    /// <summary>Shared by the pool, and by the cluster where there is one; they outlive both.</summary>
    public ControlConnections Connections => _connections.Value;

    /// <summary>For membership and grain storage.</summary>
    public DbDataSource Storage => Connections.Storage;

    /// <summary>What ails the database, in one plain line that stays the same while the cause does: an exception's own
    /// text may hold counts that change with every attempt, and each change would be told anew.</summary>
    public string Describe(Exception exception) => Connections.Health.Problem ?? DatabaseProblem.Describe(exception);

    /// <summary>The same for anybody who may read health.</summary>
    public string DescribeInPublic => Connections.Health.Problem ?? DatabaseProblem.CannotBeUsed;

    public ValueTask DisposeAsync() =>
        _connections.IsValueCreated ? _connections.Value.DisposeAsync() : ValueTask.CompletedTask;
}
