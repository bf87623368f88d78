using System.Diagnostics;
using System.Globalization;

using MySqlConnector;

using UPool.Testing;

namespace UPool.Bench.Runner.Sides;

/// <summary>A running side; disposing kills its processes.</summary>
internal sealed class RunningSide : IAsyncDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(90);

    private readonly MySqlConnectionStringBuilder _database;
    private readonly List<ProcessHost> _processes = [];

    private RunningSide(Side side, string database)
    {
        Side = side;
        _database = new MySqlConnectionStringBuilder(database);
    }

    public Side Side { get; }

    /// <summary>The side's URL.</summary>
    public Uri Url { get; } = new($"http://127.0.0.1:{FreePort.Next()}");

    /// <summary>The processor time of its processes so far.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            TimeSpan sum = TimeSpan.Zero;
            foreach (ProcessHost host in _processes)
            {
                using var process = Process.GetProcessById(host.ProcessId);
                sum += process.TotalProcessorTime;
            }

            return sum;
        }
    }

    /// <summary>Starts a side and waits until it answers.</summary>
    /// <param name="side">The side.</param>
    /// <param name="database">The connection string, to the server or to the proxy in front of it.</param>
    /// <param name="silos">The number of silos of a separate side.</param>
    public static async Task<RunningSide> StartAsync(Side side, string database, int silos = 1)
    {
        var running = new RunningSide(side, database);
        try
        {
            await running.StartProcessesAsync(silos);
            return running;
        }
        catch
        {
            await running.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // The front first: no process loses another that it still needs.
        for (int index = _processes.Count - 1; index >= 0; index--) await _processes[index].DisposeAsync();
    }

    private Task StartProcessesAsync(int silos) => Side.Kind switch
    {
        SideKind.Original => StartOriginalAsync(),
        SideKind.HandwrittenDefaults => StartHandwrittenAsync(resets: true),
        SideKind.HandwrittenBest => StartHandwrittenAsync(resets: false),
        SideKind.CoHosted => StartApiAsync(Settings("Localhost"), hostsSilo: true),
        SideKind.Separate => StartSeparateAsync(silos),
        _ => throw new InvalidOperationException($"bug: no side of kind {Side.Kind}"),
    };

    private async Task StartOriginalAsync()
    {
        const int Processes = 2;
        var environment = new Dictionary<string, string?>
        {
            ["DB_HOST"] = _database.Server,
            ["DB_PORT"] = _database.Port.ToString(CultureInfo.InvariantCulture),
            ["DB_NAME"] = _database.Database,
            ["DB_USER"] = _database.UserID,
            ["DB_PASS"] = _database.Password,
            ["DB_POOL_MAX_CONN"] = (Side.Connections / Processes).ToString(CultureInfo.InvariantCulture),
        };
        ProcessHost host = await AddAsync(ProcessHost.StartAsync(
            Side.Name, "uwsgi", ["--ini", "uwsgi.ini", "--http-socket", Url.Authority], environment,
            $"{BuiltPrograms.Root}/bench/Original"));
        await host.WaitForHttpAsync(Url, StartTimeout);
    }

    private async Task StartHandwrittenAsync(bool resets)
    {
        var database = new MySqlConnectionStringBuilder(_database.ConnectionString)
        {
            MaximumPoolSize = Side.Connections,
            ConnectionReset = resets,
        };
        var environment = new Dictionary<string, string?>
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ASPNETCORE_URLS"] = Url.ToString(),
            ["ConnectionStrings__UPool"] = database.ConnectionString,
        };
        ProcessHost host = await AddAsync(ProcessHost.StartDotnetAsync(
            Side.Name, BuiltPrograms.Dll("bench/Handwritten", "UPool.Bench.Handwritten"), [], environment));
        await host.WaitForHttpAsync(Url, StartTimeout);
    }

    private async Task StartSeparateAsync(int silos)
    {
        Dictionary<string, string?> environment = Settings("MySql");
        var starting = Enumerable.Range(1, silos).Select(number => ProcessHost.StartDotnetAsync(
            $"{Side.Name}, silo {number}", BuiltPrograms.Dll("Silo"), [], environment,
            $"{BuiltPrograms.Root}/src/Silo"));
        foreach (Task<ProcessHost> one in starting.ToList())
            await (await AddAsync(one)).WaitForLineAsync("UPool.Silo is ready", StartTimeout);
        await StartApiAsync(environment, hostsSilo: false);
    }

    private async Task StartApiAsync(Dictionary<string, string?> environment, bool hostsSilo)
    {
        environment["UPool__Api__HostSilo"] = hostsSilo ? "true" : "false";
        environment["UPool__Reads__Shared"] = Side.SharesCalls ? "true" : "false";
        environment["ASPNETCORE_URLS"] = Url.ToString();
        ProcessHost host = await AddAsync(ProcessHost.StartDotnetAsync(
            Side.Name, BuiltPrograms.Dll("Api"), [], environment, $"{BuiltPrograms.Root}/src/Api"));
        await host.WaitForHttpAsync(new Uri(Url, "/health/ready"), StartTimeout);
    }

    private Dictionary<string, string?> Settings(string mode)
    {
        string id = $"bench-{Guid.NewGuid():N}";
        return new Dictionary<string, string?>
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ASPNETCORE_URLS"] = null,
            ["ConnectionStrings__UPool"] = _database.ConnectionString,
            ["UPool__Pool__MaxConnections"] = Side.Connections.ToString(CultureInfo.InvariantCulture),
            ["UPool__Reads__Shared"] = Side.IsShared ? "true" : "false",
            ["UPool__Cluster__Mode"] = mode,
            ["UPool__Cluster__ClusterId"] = id,
            ["UPool__Cluster__ServiceId"] = id,
        };
    }

    private async Task<ProcessHost> AddAsync(Task<ProcessHost> starting)
    {
        ProcessHost host = await starting;
        _processes.Add(host);
        return host;
    }
}
