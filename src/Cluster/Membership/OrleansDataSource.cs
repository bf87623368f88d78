using System.Data.Common;
using UPool.Hosting;
using UPool.MySql;

namespace UPool.Cluster.Membership;

/// <summary>The control connections as Orleans wants them.</summary>
/// <remarks>
/// Orleans looks at the type of a connection that a data source creates, and refuses one that is not its invariant's
/// own; it then only ever opens connections and uses them as <see cref="DbConnection"/>. So what is created is the
/// driver's, never opened, and what is opened is pooled.
/// </remarks>
internal sealed class OrleansDataSource(ControlDatabase control) : DbDataSource
{
    /// <summary>The name by which Orleans knows the driver.</summary>
    public const string Invariant = "MySql.Data.MySqlConnector";

    // No credential: what Orleans does with it is not ours to know.
    public override string ConnectionString => control.Storage.ConnectionString;

    protected override DbConnection CreateDbConnection() => ControlConnections.CreateDriverConnection();

    protected override ValueTask<DbConnection> OpenDbConnectionAsync(CancellationToken cancellationToken = default) =>
        control.Storage.OpenConnectionAsync(cancellationToken);
}
