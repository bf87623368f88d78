using System.Data.Common;

using UPool.Core;

namespace UPool;

/// <summary>Creates the ADO.NET objects of one pool. <c>DbProviderFactories.GetFactory</c> returns it for a connection
/// of the pool.</summary>
public sealed class PooledProviderFactory : DbProviderFactory
{
    private readonly ConnectionPool _pool;

    internal PooledProviderFactory(ConnectionPool pool) => _pool = pool;

    /// <inheritdoc/>
    public override bool CanCreateBatch => _pool.Connector.DriverFactory.CanCreateBatch;

    /// <inheritdoc/>
    public override bool CanCreateCommandBuilder => true;

    /// <inheritdoc/>
    public override bool CanCreateDataAdapter => true;

    /// <inheritdoc/>
    public override DbConnection CreateConnection() => new PooledConnection(_pool);

    /// <inheritdoc/>
    public override DbCommand CreateCommand() => new PooledCommand(null, _pool.Connector);

    /// <inheritdoc/>
    public override DbBatch CreateBatch() => new PooledBatch(null, _pool.Connector);

    /// <inheritdoc/>
    public override DbBatchCommand CreateBatchCommand() => _pool.Connector.DriverFactory.CreateBatchCommand();

    /// <inheritdoc/>
    public override DbParameter? CreateParameter() => _pool.Connector.DriverFactory.CreateParameter();

    /// <inheritdoc/>
    public override DbConnectionStringBuilder? CreateConnectionStringBuilder() =>
        _pool.Connector.DriverFactory.CreateConnectionStringBuilder();

    /// <summary>An adapter whose <c>Fill</c> and <c>Update</c> are synchronous: it needs
    /// <see cref="PoolOptions.AllowSynchronous"/>.</summary>
    public override DbDataAdapter CreateDataAdapter() => new PooledDataAdapter();

    /// <inheritdoc cref="CreateDataAdapter"/>
    public override DbCommandBuilder CreateCommandBuilder() => new PooledCommandBuilder(_pool.Connector);
}
