namespace UPool.Testing;

/// <summary>
/// The one server of a test process, for tests that only need a database: the one <c>UPOOL_TEST_MYSQL</c> names,
/// otherwise a private <see cref="MariaDbServer"/>. A test that stops, freezes or fills its server makes its own.
/// </summary>
public sealed class MariaDb
{
    /// <summary>The environment variable: a connection string of an account that may create databases.</summary>
    public const string Variable = "UPOOL_TEST_MYSQL";

    private static readonly Lazy<Task<MariaDb>> Shared = new(StartAsync);

    private readonly MariaDbServer? _private;

    private MariaDb(MariaDbServer? server, string administrator)
    {
        _private = server;
        AdministratorConnectionString = administrator;
    }

    /// <summary>For the account that creates the databases.</summary>
    public string AdministratorConnectionString { get; }

    /// <summary>The server; started at the first call, and ended with the process.</summary>
    public static Task<MariaDb> SharedAsync() => Shared.Value;

    /// <summary>An empty database with a random name and an ordinary account for it; dispose it to drop it.</summary>
    public Task<TestDatabase> CreateDatabaseAsync() =>
        TestDatabase.CreateAsync(
            AdministratorConnectionString, connectionString: _private is null ? null : _private.ConnectionString);

    private static async Task<MariaDb> StartAsync()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            return new MariaDb(null, given);
        }

        // Never disposed: the kernel ends it with this process, and its folder goes with the process's own.
        var server = await MariaDbServer.StartNewAsync("--max-connections=500");
        return new MariaDb(server, server.RootConnectionString);
    }
}
