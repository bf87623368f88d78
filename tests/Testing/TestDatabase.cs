using MySqlConnector;

namespace UPool.Testing;

/// <summary>An empty database with a random name; dropped when disposed.</summary>
public sealed class TestDatabase : IAsyncDisposable
{
    private readonly string _administrator;
    private readonly bool _keep;

    private TestDatabase(string administrator, string name, bool keep)
    {
        _administrator = administrator;
        _keep = keep;
        Name = name;
        ConnectionString = new MySqlConnectionStringBuilder(administrator) { Database = name }.ConnectionString;
    }

    /// <summary>The database's name.</summary>
    public string Name { get; }

    /// <summary>For the account that created it, unless another was given.</summary>
    public string ConnectionString { get; init; }

    /// <summary>Drops the database.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_keep)
        {
            await ExecuteAsync(_administrator, $"DROP DATABASE IF EXISTS `{Name}`");
        }
    }

    internal static async Task<TestDatabase> CreateAsync(
        string administrator, bool keep = false, Func<string, string>? connectionString = null)
    {
        // The ordinary accounts of a private server have rights on this prefix only.
        var name = $"{DatabaseServer.DefaultDatabase}_{Guid.NewGuid():N}";
        await ExecuteAsync(administrator, $"CREATE DATABASE `{name}` CHARACTER SET utf8mb4");
        var database = new TestDatabase(administrator, name, keep);
        return connectionString is null
            ? database
            : new TestDatabase(administrator, name, keep) { ConnectionString = connectionString(name) };
    }

    private static async Task ExecuteAsync(string connectionString, string statement)
    {
        await using var connection = new MySqlConnection(connectionString);
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = statement;
        await command.ExecuteNonQueryAsync();
    }
}
