using MySqlConnector;

namespace UPool.Testing;

/// <summary>
/// Two private servers behind one address; one replicates the other. A switch-over follows the procedure that loses no
/// data: the old primary becomes read-only and keeps running, the replica catches up, and new connections go to it.
/// Existing connections stay with the old primary.
/// </summary>
public sealed class ReplicatedPair : IAsyncDisposable
{
    private readonly List<MySqlConnection> _roots = [];
    private readonly List<DatabaseServer> _servers = [];

    /// <summary>The common address.</summary>
    public TcpRelay Relay { get; private set; } = null!;

    /// <summary>The index of the server that takes writes.</summary>
    public int PrimaryIndex { get; private set; }

    /// <summary>Both servers.</summary>
    public IReadOnlyList<DatabaseServer> Servers => _servers;

    /// <summary>A connection with all rights to each server.</summary>
    public IReadOnlyList<MySqlConnection> Roots => _roots;

    /// <summary>Creates two servers; the second one replicates the first.</summary>
    /// <param name="arguments">Extra arguments for both servers.</param>
    public static async Task<ReplicatedPair> StartAsync(params string[] arguments)
    {
        var pair = new ReplicatedPair();
        try
        {
            for (var id = 1; id <= 2; id++)
            {
                pair._servers.Add(await DatabaseServer.StartNewAsync(
                    [$"--server-id={id}", .. ServerFamily.Tested.ReplicationArguments, .. arguments]));
                pair._roots.Add(await ConnectAsync(pair._servers[^1].RootConnectionString));
            }

            // The accounts of the first server must work on the second.
            foreach (var user in (string[])[DatabaseServer.User, DatabaseServer.ControlUser, DatabaseServer.RootUser])
                await pair.ExecuteAsync(1, $"ALTER USER '{user}'@'%' IDENTIFIED BY '{pair._servers[0].Password}'");
            for (var at = 0; at < 2; at++) await pair.ExecuteAsync(at, ServerFamily.Tested.ForgetLog);
            await pair.FollowAsync(1, wasPrimary: false);
            await pair.ExecuteAsync(1, ServerFamily.Tested.SetReadOnly(true));
            pair.Relay = TcpRelay.Start(pair._servers[0].Port);
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

    /// <summary>Turns a connection string of the first server into one for the common address.</summary>
    public string Through(string connectionString) => new MySqlConnectionStringBuilder(connectionString)
    {
        Port = (uint)Relay.Port,
    }.ConnectionString;

    /// <summary>Swaps the primary and the replica.</summary>
    /// <param name="atMove">Called as soon as new connections go to the new primary.</param>
    public async Task SwitchOverAsync(Action atMove)
    {
        int from = PrimaryIndex, to = 1 - from;
        await ExecuteAsync(from, ServerFamily.Tested.SetReadOnly(true));
        await CatchUpAsync(from, to);
        await ExecuteAsync(to, ServerFamily.Tested.Lead);
        await ExecuteAsync(to, ServerFamily.Tested.SetReadOnly(false));
        PrimaryIndex = to;
        Relay.Target = _servers[to].Port;
        atMove();
        await FollowAsync(from, wasPrimary: true);
    }

    /// <summary>Waits until the replica has all of the primary's writes.</summary>
    public Task CatchUpAsync() => CatchUpAsync(PrimaryIndex, 1 - PrimaryIndex);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Relay is not null) await Relay.DisposeAsync();
        foreach (MySqlConnection root in _roots) await root.DisposeAsync();
        foreach (DatabaseServer server in _servers) await server.DisposeAsync();
    }

    private static async Task<MySqlConnection> ConnectAsync(string connectionString)
    {
        var connection = new MySqlConnection(new MySqlConnectionStringBuilder(connectionString)
        {
            Pooling = false,
            DefaultCommandTimeout = 90,
        }.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    private async Task CatchUpAsync(int from, int to)
    {
        await using var position = new MySqlCommand(ServerFamily.Tested.Position, _roots[from]);
        var reached = (string)(await position.ExecuteScalarAsync())!;
        await using var wait = new MySqlCommand(ServerFamily.Tested.WaitFor(reached), _roots[to]);
        if (Convert.ToInt64(await wait.ExecuteScalarAsync()) != 0)
            throw new InvalidOperationException($"The replica did not come as far as {reached}. {_servers[to].Log}");
    }

    private Task FollowAsync(int server, bool wasPrimary) => ExecuteAsync(
        server,
        ServerFamily.Tested.Follow(
            _servers[1 - server].Port, DatabaseServer.RootUser, _servers[0].Password, wasPrimary));

    private async Task ExecuteAsync(int server, string text)
    {
        await using var command = new MySqlCommand(text, _roots[server]);
        await command.ExecuteNonQueryAsync();
    }
}
