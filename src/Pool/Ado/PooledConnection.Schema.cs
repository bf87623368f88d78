using System.Collections.Frozen;
using System.Data;

namespace UPool;

/// <content>The database's schema, as the driver describes it.</content>
public sealed partial class PooledConnection
{
    // The driver answers these without the server.
    private static readonly FrozenSet<string> Known = FrozenSet.ToFrozenSet(
        ["MetaDataCollections", "DataSourceInformation", "DataTypes", "ReservedWords", "Restrictions"],
        StringComparer.OrdinalIgnoreCase);

    /// <inheritdoc/>
    public override DataTable GetSchema() => GetSchema("MetaDataCollections");

    /// <inheritdoc/>
    public override DataTable GetSchema(string collectionName) => GetSchema(collectionName, []);

    /// <summary>Blocks the thread if the driver must query the server: only with
    /// <see cref="PoolOptions.AllowSynchronous"/>.</summary>
    public override DataTable GetSchema(string collectionName, string?[] restrictionValues)
    {
        if (!Known.Contains(collectionName ?? "")) ThrowUnlessSynchronous("GetSchemaAsync");
        return GetSchemaAsync(collectionName!, restrictionValues, CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    public override Task<DataTable> GetSchemaAsync(CancellationToken cancellationToken = default) =>
        GetSchemaAsync("MetaDataCollections", cancellationToken);

    /// <inheritdoc/>
    public override Task<DataTable> GetSchemaAsync(
        string collectionName, CancellationToken cancellationToken = default) =>
        GetSchemaAsync(collectionName, [], cancellationToken);

    /// <inheritdoc/>
    public override async Task<DataTable> GetSchemaAsync(
        string collectionName, string?[] restrictionValues, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(collectionName);
        OperationBound bound = await BeginAsync(_pool.Options.StatementTimeout, cancellationToken)
            .ConfigureAwait(false);
        try
        {
            // The driver accepts no empty list for "no restrictions", because several collections have none.
            Task<DataTable> schema = restrictionValues is null or []
                ? bound.Physical.Inner.GetSchemaAsync(collectionName, CancellationToken.None)
                : bound.Physical.Inner.GetSchemaAsync(collectionName, restrictionValues, CancellationToken.None);
            return await RunAsync(schema, bound, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            bound.Release();
        }
    }
}
