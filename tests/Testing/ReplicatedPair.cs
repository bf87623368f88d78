using MySqlConnector;

namespace UPool.Testing;

/// <summary>
/// Two private servers, of which one replicates the other, behind one address. A switch-over makes the replica the
/// primary as an operator does who loses nothing: the old primary is set read-only and stays alive, the replica catches
/// up, and new connections go there. Connections that are there stay with the old primary.
/// </summary>
public sealed class ReplicatedPair : IAsyncDisposable
{
    private readonly List<MySqlConnection> _roots = [];
    private readonly List<DatabaseServer> _servers = [];

    /// <summary>The address.</summary>
    public TcpRelay Relay { get; private set; } = null!;

    /// <summary>The server that takes writes.</summary>
    public int PrimaryIndex { get; private set; }

    /// <summary>Both servers.</summary>
    public IReadOnlyList<DatabaseServer> Servers => _servers;

    /// <summary>A connection with every right to each.</summary>
    public IReadOnlyList<MySqlConnection> Roots => _roots;

    /// <summary>Makes two servers and lets the second one replicate the first.</summary>
    /// <param name="arguments">What both are started with besides.</param>
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

            // The accounts of the first have to work on the second.
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

    /// <summary>What leads to the address, of one of the first server's connection strings.</summary>
    public string Through(string connectionString) => new MySqlConnectionStringBuilder(connectionString)
    {
        Port = (uint)Relay.Port,
    }.ConnectionString;

    /// <summary>Makes the replica the primary, and the primary its replica.</summary>
    /// <param name="atMove">Called as soon as new connections lead to the new primary.</param>
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

    /// <summary>Waits until the replica has everything.</summary>
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
