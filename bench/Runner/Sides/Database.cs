using MySqlConnector;

using UPool.Testing;

namespace UPool.Bench.Runner.Sides;

/// <summary>The one database of a run: a private server with the project's schema.</summary>
internal sealed class Database : IAsyncDisposable
{
    // A statement of about 150 kB, far below any server's max_allowed_packet.
    private const int RowsAtATime = 5_000;

    private static readonly TimeSpan MigrateTimeout = TimeSpan.FromSeconds(90);

    private readonly DatabaseServer _server;

    private Database(DatabaseServer server) => _server = server;

    /// <summary>The server's port on 127.0.0.1.</summary>
    public int Port => _server.Port;

    /// <summary>The connection string to the server itself.</summary>
    public string ConnectionString => _server.ConnectionString();

    /// <summary>The server's version.</summary>
    public string Version { get; private set; } = "";

    /// <summary>Starts the server and applies the schema.</summary>
    public static async Task<Database> StartAsync()
    {
        // Enough for all sides at once, and for the largest pool of the part "growth".
        var database = new Database(await DatabaseServer.StartNewAsync("--max-connections=500"));
        try
        {
            await database.MigrateAsync();
            return database;
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    /// <summary>The connection string through a proxy's port.</summary>
    public string ConnectionStringThrough(int port) =>
        new MySqlConnectionStringBuilder(ConnectionString) { Port = (uint)port }.ConnectionString;

    /// <summary>Replaces the users by those with these ids.</summary>
    public async Task FillAsync(int firstId, int lastId)
    {
        await using var connection = new MySqlConnection(ConnectionString);
        await connection.OpenAsync();
        await ExecuteAsync(connection, "TRUNCATE TABLE tb1");
        for (int first = firstId; first <= lastId; first += RowsAtATime)
        {
            int count = Math.Min(RowsAtATime, lastId - first + 1);
            var rows = string.Join(", ", Enumerable.Range(first, count).Select(id => $"({id}, 'user number {id}')"));
            await ExecuteAsync(connection, $"INSERT INTO tb1 (id, name) VALUES {rows}");
        }

        await ExecuteAsync(connection, "ANALYZE TABLE tb1");
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task MigrateAsync()
    {
        await using ProcessHost migrate = await ProcessHost.StartDotnetAsync(
            "migrate", BuiltPrograms.Dll("Silo"), ["--migrate"],
            new Dictionary<string, string?>
            {
                ["DOTNET_ENVIRONMENT"] = "Production",
                ["ASPNETCORE_ENVIRONMENT"] = "Production",
                ["ConnectionStrings__UPool"] = ConnectionString,
                ["UPool__Cluster__Mode"] = "MySql",
                ["UPool__Cluster__ClusterId"] = "bench",
                ["UPool__Cluster__ServiceId"] = "bench",
            });
        if (await migrate.WaitForExitAsync(MigrateTimeout) != 0)
            throw new InvalidOperationException($"The migration failed:\n{migrate.Output}");

        await using var connection = new MySqlConnection(ConnectionString);
        await connection.OpenAsync();
        // The prefix is for old clients that do not know versions from 10 on.
        Version = connection.ServerVersion.Replace("5.5.5-", "", StringComparison.Ordinal);
    }

    private static async Task ExecuteAsync(MySqlConnection connection, string statement)
    {
        await using var command = new MySqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync();
    }
}
