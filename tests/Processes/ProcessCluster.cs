using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>A real cluster: a MariaDB server, N Silo processes and one Api process that is their client.</summary>
internal sealed class ProcessCluster : IAsyncDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(90);

    private readonly Dictionary<string, string?> _environment;
    private readonly List<ProcessHost> _silos = [];
    private int _named;

    private ProcessCluster(MariaDbServer server)
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

    public MariaDbServer Server { get; }

    public IReadOnlyList<ProcessHost> Silos => _silos;

    public ProcessHost Api { get; private set; } = null!;

    public HttpClient Http { get; private set; } = null!;

    /// <summary>Everything the processes said, for the message of a failure.</summary>
    public string Output => string.Join(
        "\n\n", _silos.Append(Api).Where(p => p is not null).Select(p => $"== {p.Name}\n{p.Output}"));

    public static async Task<ProcessCluster> StartAsync(int silos, Dictionary<string, string?>? settings = null)
    {
        var cluster = new ProcessCluster(await MariaDbServer.StartNewAsync());
        try
        {
            foreach ((string key, string? value) in settings ?? []) cluster._environment[key] = value;
            await using ProcessHost migrate = await ProcessHost.StartDotnetAsync(
                "migrate", BuiltPrograms.Dll("Silo"), ["--migrate"], cluster._environment);
            if (await migrate.WaitForExitAsync(Patient) != 0) Assert.Fail(migrate.Output);

            await Task.WhenAll(Enumerable.Range(0, silos).Select(_ => cluster.AddSiloAsync()));
            await cluster.StartApiAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts one more silo and waits until it says that it is ready.</summary>
    public async Task<ProcessHost> AddSiloAsync()
    {
        ProcessHost silo = await ProcessHost.StartDotnetAsync(
            $"silo {Interlocked.Increment(ref _named)}", BuiltPrograms.Dll("Silo"), [], _environment);
        lock (_silos) _silos.Add(silo);
        await silo.WaitForLineAsync("UPool.Silo is ready", Patient);
        return silo;
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (Api is not null) await Api.DisposeAsync();
        foreach (ProcessHost silo in _silos) await silo.DisposeAsync();
        await Server.DisposeAsync();
    }

    private async Task StartApiAsync()
    {
        int port = FreePort.Next();
        var environment = new Dictionary<string, string?>(_environment)
        {
            ["UPool__Api__HostSilo"] = "false",
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
        };
        Api = await ProcessHost.StartDotnetAsync("api", BuiltPrograms.Dll("Api"), [], environment);
        await Api.WaitForHttpAsync(new Uri($"http://127.0.0.1:{port}/health/ready"), Patient);
        Http = new HttpClient
        {
            BaseAddress = new Uri($"http://127.0.0.1:{port}"),
            Timeout = TimeSpan.FromSeconds(30),
        };
    }
}
