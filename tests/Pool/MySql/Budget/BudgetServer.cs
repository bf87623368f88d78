using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql.Budget;

/// <summary>
/// A private server with the session register. Private, because a look at the register sees all sessions of an account,
/// other tests' included. It creates control connections and pools of several processes, each with its incarnation.
/// </summary>
public sealed class BudgetServer : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _made = [];
    private readonly RecordingLog _log = new();

    private BudgetServer(DatabaseServer server) => Server = server;

    public DatabaseServer Server { get; }

    public string ConnectionString => Server.ConnectionString();

    /// <summary>A connection with all rights, to observe and to interfere.</summary>
    public MySqlConnection Root { get; private set; } = null!;

    public string Log => _log.ToString();

    public static async Task<BudgetServer> StartAsync(bool withTable = true, params string[] arguments)
    {
        var made = new BudgetServer(await DatabaseServer.StartNewAsync(arguments));
        await made.ConnectRootAsync();
        if (withTable) await made.CreateTableAsync();
        return made;
    }

    public async Task ConnectRootAsync()
    {
        if (Root is not null) await Root.DisposeAsync();
        Root = await ConnectAsync(new MySqlConnectionStringBuilder(Server.RootConnectionString)
        {
            Database = DatabaseServer.DefaultDatabase,
        }.ConnectionString);
    }

    public async Task CreateTableAsync()
    {
        await using Stream stream = typeof(BudgetServer).Assembly.GetManifestResourceStream("session-register.sql")!;
        using var reader = new StreamReader(stream);
        await ExecuteAsync(Root, await reader.ReadToEndAsync());
    }

    /// <summary>The control connections of a process; by default with the account that has PROCESS and CONNECTION
    /// ADMIN.</summary>
    public ControlConnections CreateControl(string? incarnation = "silo-1", string? connectionString = null)
    {
        var control = new ControlConnections(
            connectionString ?? Server.ControlConnectionString(), _log, incarnation: incarnation);
        _made.Add(control);
        return control;
    }

    /// <summary>A pool with a lease that outlasts the test.</summary>
    public PooledDataSource CreatePool(ControlConnections control, int permits, string? connectionString = null)
    {
        PooledDataSource pool = MySqlPool.Create(
            connectionString ?? ConnectionString,
            new PoolOptions { Name = "test", MaxConnections = permits, RentTimeout = TimeSpan.FromSeconds(10) },
            control, _log);
        _made.Add(pool);
        if (pool.NeedsLease) pool.Lease = new PoolLease(permits, 1, long.MaxValue - 1, long.MaxValue);
        return pool;
    }

    /// <summary>A session outside every pool.</summary>
    public async Task<MySqlConnection> ConnectAsync(string? connectionString = null)
    {
        var builder = new MySqlConnectionStringBuilder(connectionString ?? ConnectionString)
        {
            Pooling = false,
            AllowUserVariables = true,
            ConnectionTimeout = 60,
            DefaultCommandTimeout = 300,
        };
        var connection = new MySqlConnection(builder.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>A session of a process that no longer acts: killed, or stopped.</summary>
    public async Task<(MySqlConnection Connection, DeploymentSession Session)> ConnectDeadAsync(string incarnation)
    {
        MySqlConnection connection = await ConnectAsync();
        SessionFacts facts = await SessionFacts.ReadAsync(connection);
        await new SessionRegister(DatabaseServer.DefaultDatabase, incarnation).AddAsync(connection, facts);
        return (connection, new DeploymentSession(
            facts.Session.Id, facts.Session.Host, incarnation, IsControl: false, facts.Session.Server.Name!));
    }

    /// <summary>Creates an account with these grants, for a test of rights.</summary>
    public async Task<string> CreateAccountAsync(string name, params string[] grants)
    {
        await ExecuteAsync(Root, $"CREATE USER '{name}'@'%' IDENTIFIED BY '{Server.Password}'");
        await ExecuteAsync(Root, $"GRANT ALL ON `{DatabaseServer.DefaultDatabase}`.* TO '{name}'@'%'");
        foreach (string grant in grants) await ExecuteAsync(Root, $"GRANT {grant} TO '{name}'@'%'");
        return new MySqlConnectionStringBuilder(ConnectionString) { UserID = name }.ConnectionString;
    }

    /// <summary>The number of rows of the register, without the witness.</summary>
    public Task<long> RowsAsync(string where = "TRUE") =>
        ScalarAsync(Root, $"SELECT COUNT(*) FROM upool_session WHERE ConnectionId <> 0 AND {where}");

    /// <summary>The server's own session count, including this root connection.</summary>
    public async Task<long> ConnectedAsync()
    {
        await using MySqlCommand command = Root.CreateCommand();
        command.CommandText = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";
        await using MySqlDataReader reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        return long.Parse(reader.GetString(1));
    }

    public async Task UntilAsync(string what, Func<Task<bool>> reached, double seconds = 10)
    {
        long startedAt = TimeProvider.System.GetTimestamp();
        while (!await reached())
        {
            if (TimeProvider.System.GetElapsedTime(startedAt).TotalSeconds > seconds)
                Assert.Fail($"Waited past the barrier for {what}. {Log}");
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Dispose pools before the control connections that they use.
        foreach (IAsyncDisposable one in Enumerable.Reverse(_made)) await one.DisposeAsync();
        await Root.DisposeAsync();
        await Server.DisposeAsync();
    }
}
