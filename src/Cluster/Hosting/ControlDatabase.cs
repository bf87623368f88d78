using System.Data.Common;
using Microsoft.Extensions.Options;
using MySqlConnector;

namespace UPool.Cluster.Hosting;

/// <summary>The data source of Orleans' membership and grain storage, apart from the pool: a saturated pool must not
/// starve membership.</summary>
internal sealed class ControlDatabase(IOptions<DatabaseOptions> options) : IAsyncDisposable
{
    // Two at most (DESIGN, "Control connections"): they count in the budget of the whole deployment.
    private const uint MaxConnections = 2;

    private readonly Lazy<DbDataSource> _storage = new(() => Create(
        options.Value.ControlConnectionString
        ?? throw new InvalidOperationException($"bug: no {DatabaseOptions.ConnectionStringKey} for the control connections.")));

    /// <summary>For membership and grain storage.</summary>
    public DbDataSource Storage => _storage.Value;

    public ValueTask DisposeAsync() => _storage.IsValueCreated ? _storage.Value.DisposeAsync() : ValueTask.CompletedTask;

    // The one place to change when the pool library brings its own control connections.
    private static MySqlDataSource Create(string connectionString) =>
        new MySqlDataSourceBuilder(new MySqlConnectionStringBuilder(connectionString)
        {
            Pooling = true,
            MinimumPoolSize = 0,
            MaximumPoolSize = MaxConnections,
            AllowUserVariables = true,
            ApplicationName = "upool-control",
        }.ConnectionString).Build();
}
