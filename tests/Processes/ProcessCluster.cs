using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>
/// A real cluster: a MariaDB server, N Silo processes and one Api process as their client; or one Api process with its
/// silo inside.
/// </summary>
internal sealed class ProcessCluster : IAsyncDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(90);

    private readonly Dictionary<string, string?> _environment;
    private readonly List<ProcessHost> _silos = [];
    private readonly List<ProcessHost> _gone = [];
    private int _named;

    private ProcessCluster(DatabaseServer server)
    {
        Server = server;
        string id = $"test-{Guid.NewGuid():N}";
        _environment = new Dictionary<string, string?>
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ASPNETCORE_URLS"] = null,
            ["ConnectionStrings__UPool"] = server.ConnectionString(),
            ["UPool__Cluster__Mode"] = "MySql",
            ["UPool__Cluster__ClusterId"] = id,
            ["UPool__Cluster__ServiceId"] = id,
        };
    }

    public DatabaseServer Server { get; }

    public IReadOnlyList<ProcessHost> Silos => _silos;

    public ProcessHost Api { get; private set; } = null!;

    public HttpClient Http { get; private set; } = null!;

    /// <summary>A client for the management routes, on the API's management port.</summary>
    public HttpClient Management { get; private set; } = null!;

    /// <summary>The output of all processes, for failure messages.</summary>
    public string Output => string.Join(
        "\n\n", _silos.Concat(_gone).Append(Api).Where(p => p is not null).Select(p => $"== {p.Name}\n{p.Output}"));

    /// <summary>Starts silos, and the API as their client.</summary>
    public static Task<ProcessCluster> StartAsync(int silos, Dictionary<string, string?>? settings = null) =>
        StartAsync(settings, async cluster =>
        {
            await cluster.AddSilosAsync(silos);
            await cluster.StartApiAsync(hostsSilo: false);
        });

    /// <summary>Starts the API with a silo in its own process.</summary>
    public static Task<ProcessCluster> StartCoHostedAsync(Dictionary<string, string?>? settings = null) =>
        StartAsync(settings, static cluster => cluster.StartApiAsync(hostsSilo: true));

    /// <summary>Starts one more silo and waits until it reports that it is ready.</summary>
    public async Task<ProcessHost> AddSiloAsync()
    {
        ProcessHost silo = await ProcessHost.StartDotnetAsync(
            $"silo {Interlocked.Increment(ref _named)}", BuiltPrograms.Dll("Silo"), [], _environment);
        lock (_silos) _silos.Add(silo);
        await silo.WaitForLineAsync("UPool.Silo is ready", Patient);
        return silo;
    }

    /// <summary>Starts this many more silos at once.</summary>
    public Task AddSilosAsync(int count) =>
        Task.WhenAll(Enumerable.Range(0, count).Select(_ => AddSiloAsync()));

    /// <summary>Removes a silo that was ended on purpose.</summary>
    public void Forget(ProcessHost silo)
    {
        lock (_silos)
        {
            _silos.Remove(silo);
            _gone.Add(silo);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        Management?.Dispose();
        if (Api is not null) await Api.DisposeAsync();
        foreach (ProcessHost silo in _silos.Concat(_gone)) await silo.DisposeAsync();
        await Server.DisposeAsync();
    }

    private static async Task<ProcessCluster> StartAsync(
        Dictionary<string, string?>? settings, Func<ProcessCluster, Task> start)
    {
        var cluster = new ProcessCluster(await DatabaseServer.StartNewAsync());
        try
        {
            foreach ((string key, string? value) in settings ?? []) cluster._environment[key] = value;
            await using ProcessHost migrate = await ProcessHost.StartDotnetAsync(
                "migrate", BuiltPrograms.Dll("Silo"), ["--migrate", "--seed"], cluster._environment);
            if (await migrate.WaitForExitAsync(Patient) != 0) Assert.Fail(migrate.Output);

            await start(cluster);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    private async Task StartApiAsync(bool hostsSilo)
    {
        int port = FreePort.Next();
        int management = FreePort.Next();
        var environment = new Dictionary<string, string?>(_environment)
        {
            ["UPool__Api__HostSilo"] = hostsSilo ? "true" : "false",
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["UPool__Management__Port"] = $"{management}",
        };
        Api = await ProcessHost.StartDotnetAsync("api", BuiltPrograms.Dll("Api"), [], environment);
        await Api.WaitForHttpAsync(new Uri($"http://127.0.0.1:{port}/health/ready"), Patient);
        Http = new HttpClient
        {
            BaseAddress = new Uri($"http://127.0.0.1:{port}"),
            Timeout = TimeSpan.FromSeconds(30),
        };
        Management = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{management}"), Timeout = Http.Timeout };
    }
}
