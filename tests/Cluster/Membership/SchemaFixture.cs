using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using MySqlConnector;
using UPool.Cluster.Membership;
using UPool.Testing;

namespace UPool.Cluster.Tests.Membership;

/// <summary>A separate database with the cluster's schema.</summary>
public sealed class SchemaFixture : IAsyncLifetime
{
    /// <summary>Orleans' name for the driver.</summary>
    public const string Invariant = "MySql.Data.MySqlConnector";

    private TestDatabase? _database;
    private MySqlDataSource? _dataSource;

    /// <summary>The database's connections.</summary>
    public MySqlDataSource DataSource =>
        _dataSource ?? throw new InvalidOperationException("The fixture is not ready.");

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        _database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        _dataSource = new MySqlDataSource(_database.ConnectionString);
        await SchemaMigrator.ApplyAsync(_dataSource, ClusterSchema.Scripts, NullLogger.Instance);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_dataSource is not null)
        {
            await _dataSource.DisposeAsync();
        }

        if (_database is not null)
        {
            await _database.DisposeAsync();
        }
    }

    /// <summary>Executes statements; returns the first value as text, "" for none or NULL.</summary>
    public async Task<string> ExecuteAsync(string text, params (string Name, object? Value)[] parameters)
    {
        await using var connection = await DataSource.OpenConnectionAsync();
        await using var command = new MySqlCommand(text, connection);
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        return Convert.ToString(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture) ?? "";
    }
}
