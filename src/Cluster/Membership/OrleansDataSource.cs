using System.Data.Common;
using UPool.Hosting;
using UPool.MySql;

namespace UPool.Cluster.Membership;

/// <summary>The control connections in the form that Orleans accepts.</summary>
/// <remarks>
/// Orleans checks the type of a connection that a data source creates, and refuses one that is not its invariant's own;
/// after that it only opens connections and uses them as <see cref="DbConnection"/>. So a created connection is the
/// driver's and never opened, and an opened one is pooled.
/// </remarks>
internal sealed class OrleansDataSource(ControlDatabase control) : DbDataSource
{
    /// <summary>The name by which Orleans knows the driver.</summary>
    public const string Invariant = "MySql.Data.MySqlConnector";

    // No credential, because Orleans' use of it is not under our control.
    public override string ConnectionString => control.Storage.ConnectionString;

    protected override DbConnection CreateDbConnection() => ControlConnections.CreateDriverConnection();

    protected override ValueTask<DbConnection> OpenDbConnectionAsync(CancellationToken cancellationToken = default) =>
        control.Storage.OpenConnectionAsync(cancellationToken);
}
