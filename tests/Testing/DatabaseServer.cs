using System.Security.Cryptography;
using MySqlConnector;

namespace UPool.Testing;

/// <summary>
/// A private, real server of <see cref="ServerFamily.TestedServer"/> on a free loopback port, with its own data folder
/// and socket. Disposing removes it; it also ends with the test host, however that ends.
/// </summary>
public sealed class DatabaseServer : IAsyncDisposable
{
    /// <summary>The database that exists from the start.</summary>
    public const string DefaultDatabase = "upool";

    /// <summary>The ordinary account: all rights on databases whose name begins with <c>upool</c>.</summary>
    public const string User = "upool";

    /// <summary>The account of control connections: the same rights, PROCESS and
    /// <see cref="ServerFamily.ConnectionAdmin"/>.</summary>
    public const string ControlUser = "upool_control";

    /// <summary>The account with all rights, over TCP.</summary>
    public const string RootUser = "upool_root";

    private const int MaxPortAttempts = 5;

    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(60);

    // The server may have to be downloaded first; ./test.sh downloads it before the tests.
    private static readonly TimeSpan TemplateTimeout = TimeSpan.FromMinutes(10);

    private static readonly string Script = $"{BuiltPrograms.Root}/scripts/server.sh";

    // Creating the system tables is the slowest step, so it runs once and each server copies the result.
    private static readonly Lazy<Task<string>> Template = new(FindTemplateAsync);

    private readonly string _folder = TestFolder.NewPath("server");
    private readonly string _password = Convert.ToHexString(RandomNumberGenerator.GetBytes(8));
    private readonly string[] _extraArguments;
    private ProcessHost? _process;

    private DatabaseServer(string[] extraArguments) => _extraArguments = extraArguments;

    /// <summary>The port on 127.0.0.1; the same after a restart.</summary>
    public int Port { get; private set; } = FreePort.Next();

    /// <summary>The process id of the running server.</summary>
    public int ProcessId => Running.ProcessId;

    /// <summary>The exit code of a server that has ended.</summary>
    public int ExitCode => Running.ExitCode;

    /// <summary>The password of all three accounts; tests check that it never leaks.</summary>
    public string Password => _password;

    /// <summary>The error log of the current server process so far.</summary>
    public string Log => _process?.Output ?? "";

    /// <summary>For the account with all rights, without a default database.</summary>
    public string RootConnectionString => Build(RootUser, "");

    private ProcessHost Running =>
        _process ?? throw new InvalidOperationException($"The server on port {Port} does not run.");

    /// <summary>Creates a server and waits until it accepts connections.</summary>
    /// <param name="extraArguments">For example <c>--max-connections=20</c>.</param>
    public static Task<DatabaseServer> StartNewAsync(params string[] extraArguments)
    {
        OwnProcesses.Require("a database server");
        return StartSharedAsync(extraArguments);
    }

    /// <summary>The same, for the server that all tests of a process share.</summary>
    internal static async Task<DatabaseServer> StartSharedAsync(params string[] extraArguments)
    {
        var server = new DatabaseServer(extraArguments);
        try
        {
            await server.CreateDataAsync();
            await server.StartOnAnyPortAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>For the ordinary account.</summary>
    public string ConnectionString(string database = DefaultDatabase) => Build(User, database);

    /// <summary>For the account of control connections.</summary>
    public string ControlConnectionString(string database = DefaultDatabase) => Build(ControlUser, database);

    /// <summary>Creates an empty database that all three accounts may use; returns its random name.</summary>
    public async Task<string> CreateDatabaseAsync()
    {
        await using var database = await TestDatabase.CreateAsync(RootConnectionString, keep: true);
        return database.Name;
    }

    /// <summary>Restarts the server on the same data and port, and waits until it accepts connections.</summary>
    public async Task StartAsync()
    {
        if (_process is { HasExited: false })
        {
            throw new InvalidOperationException($"The server on port {Port} already runs.");
        }

        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _process = await ProcessHost.StartPartAsync(
            $"{ServerFamily.TestedServer}:{Port}", Script, ["run", ServerFamily.TestedServer, .. Arguments()],
            workingDirectory: _folder);
        await _process.WaitForLineAsync("ready for connections", StartTimeout);
    }

    /// <summary>Shuts the server down cleanly.</summary>
    public async Task StopAsync()
    {
        Thaw();
        Running.Terminate();
        await Running.WaitForExitAsync(StopTimeout);
    }

    /// <summary>Kills the server (SIGKILL), as a crash does, and waits until it has ended.</summary>
    public async Task KillAsync()
    {
        Running.Kill9();
        await Running.WaitForExitAsync(StopTimeout);
    }

    /// <summary>Stops the server (SIGSTOP): the kernel still accepts connections, but nothing replies.</summary>
    public void Freeze() => Running.Freeze();

    /// <summary>Resumes a frozen server (SIGCONT).</summary>
    public void Thaw() => Running.Thaw();

    /// <summary>Kills the server and removes its data.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        TestFolder.Remove(_folder);
    }

    private static async Task<string> FindTemplateAsync() =>
        (await RunToolAsync(Script, TemplateTimeout, "data", ServerFamily.TestedServer))[^1];

    private static async Task<IReadOnlyList<string>> RunToolAsync(
        string program, TimeSpan timeout, params string[] arguments)
    {
        await using var tool = await ProcessHost.StartPartAsync(program, program, arguments);
        if (await tool.WaitForExitAsync(timeout) != 0)
        {
            throw new InvalidOperationException(
                $"{program} ended with {tool.ExitCode}. Its output:\n{tool.Output}");
        }

        return tool.Lines;
    }

    private async Task CreateDataAsync()
    {
        Directory.CreateDirectory(_folder);
        await RunToolAsync(
            "cp", StartTimeout, "--recursive", "--reflink=auto", await Template.Value, Path.Combine(_folder, "data"));

        // The server runs this at every start, before it accepts connections. Root can log in through the socket
        // alone.
        await File.WriteAllTextAsync(Path.Combine(_folder, "init.sql"), $"""
            CREATE DATABASE IF NOT EXISTS {DefaultDatabase};
            DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';
            CREATE USER IF NOT EXISTS '{User}'@'%' IDENTIFIED BY '{_password}';
            CREATE USER IF NOT EXISTS '{ControlUser}'@'%' IDENTIFIED BY '{_password}';
            CREATE USER IF NOT EXISTS '{RootUser}'@'%' IDENTIFIED BY '{_password}';
            GRANT ALL ON `{DefaultDatabase}%`.* TO '{User}'@'%';
            GRANT ALL ON `{DefaultDatabase}%`.* TO '{ControlUser}'@'%';
            GRANT PROCESS, {ServerFamily.Tested.ConnectionAdmin} ON *.* TO '{ControlUser}'@'%';
            GRANT ALL ON *.* TO '{RootUser}'@'%' WITH GRANT OPTION;
            {ServerFamily.Tested.Helpers($"'{RootUser}'@'%'")}
            """);
    }

    private async Task StartOnAnyPortAsync()
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await StartAsync();
                return;
            }
            // Another process may have taken the port since it was found free.
            catch (TimeoutException exception) when (
                attempt < MaxPortAttempts && exception.Message.Contains("Can't start server", StringComparison.Ordinal))
            {
                Port = FreePort.Next();
            }
        }
    }

    // Small, without features that no test uses. A commit reaches the kernel and not the disk (2): it survives kill
    // -9, which tests use, but not a power failure.
    private string[] Arguments() =>
    [
        $"--datadir={Path.Combine(_folder, "data")}", $"--socket={Path.Combine(_folder, "s")}",
        $"--pid-file={Path.Combine(_folder, "pid")}", $"--init-file={Path.Combine(_folder, "init.sql")}",
        $"--tmpdir={_folder}", $"--port={Port}", "--skip-networking=0", "--bind-address=127.0.0.1",
        "--skip-name-resolve", "--skip-log-bin",
        "--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci",
        "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=2", "--innodb-use-native-aio=0",
        "--innodb-doublewrite=0", "--max-connections=200",
        .. ServerFamily.Tested.Arguments, .. _extraArguments,
    ];

    private string Build(string user, string database) => new MySqlConnectionStringBuilder
    {
        Server = "127.0.0.1",
        Port = (uint)Port,
        UserID = user,
        Password = _password,
        Database = database,
    }.ConnectionString;
}
