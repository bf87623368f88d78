using MySqlConnector;

namespace UPool.Testing;

/// <summary>
/// The one server of a test process, for tests that only need a database: the server that <c>UPOOL_TEST_MYSQL</c>
/// names, otherwise a private <see cref="DatabaseServer"/>. A test that stops, freezes or fills a server creates its
/// own.
/// </summary>
public sealed class SharedServer
{
    /// <summary>The environment variable: a connection string of an account with all rights.</summary>
    public const string Variable = "UPOOL_TEST_MYSQL";

    private static readonly Lazy<Task<SharedServer>> Shared = new(StartAsync);

    private readonly DatabaseServer? _private;

    private SharedServer(DatabaseServer? server, string administrator)
    {
        _private = server;
        AdministratorConnectionString = administrator;
    }

    /// <summary>For the account that creates the databases.</summary>
    public string AdministratorConnectionString { get; }

    /// <summary>The server; started by the first call, ended with the process.</summary>
    public static Task<SharedServer> GetAsync() => Shared.Value;

    /// <summary>Creates an empty database with a random name and an ordinary account for it; disposing drops
    /// it.</summary>
    public Task<TestDatabase> CreateDatabaseAsync() =>
        TestDatabase.CreateAsync(
            AdministratorConnectionString, connectionString: _private is null ? null : _private.ConnectionString);

    private static async Task<SharedServer> StartAsync()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            await PrepareAsync(given);
            return new SharedServer(null, given);
        }

        // Never disposed: the kernel kills it with this process, and its folder is inside the process's folder.
        var server = await DatabaseServer.StartSharedAsync("--max-connections=500");
        return new SharedServer(server, server.RootConnectionString);
    }

    private static async Task PrepareAsync(string connectionString)
    {
        // The tests' statements are written for one family, and their private servers belong to it.
        var (family, version) = await GivenServer.LookAsync(connectionString);
        if (family != ServerFamily.Tested.Name)
        {
            throw new InvalidOperationException(
                $"{Variable} names a server of {family} ({version}), and the tests are for "
                + $"{ServerFamily.Tested.Name}: set {ServerFamily.Variable} to a server of {family}.");
        }

        // A private server creates these at its start.
        if (ServerFamily.Tested.Helpers(definer: "CURRENT_USER") is not { Length: > 0 } helpers)
        {
            return;
        }

        await using var connection = new MySqlConnection(connectionString);
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = helpers;
        await command.ExecuteNonQueryAsync();
    }
}
