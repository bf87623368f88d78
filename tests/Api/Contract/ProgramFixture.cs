using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using UPool.Testing;

namespace UPool.Api.Tests.Contract;

/// <summary>The program itself, for all the tests of a class.</summary>
public abstract class ProgramFixture : WebApplicationFactory<Program>, IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("upool-api-");

    // These tests check the replies, not how soon a busy machine sends them.
    private readonly Dictionary<string, string?> _settings = new()
    {
        ["UPool:Pool:RentTimeout"] = "00:00:20",
        ["UPool:Http:RequestTimeout"] = "00:00:20",
    };

    private readonly string _environment;
    private readonly bool _sockets;
    private HttpClient? _client;

    protected ProgramFixture(bool sockets, string environment, Dictionary<string, string?> settings)
    {
        _sockets = sockets;
        _environment = environment;
        foreach ((string key, string? value) in settings) _settings[key] = value;
        if (sockets) UseKestrel();
    }

    public HttpClient Client => _client!;

    public virtual ValueTask InitializeAsync()
    {
        if (_sockets)
        {
            StartServer();

            // In Production management listens on its own port, the last one.
            string address = Services.GetRequiredService<IServer>().Features
                .GetRequiredFeature<IServerAddressesFeature>().Addresses.First();
            _client = new HttpClient { BaseAddress = new Uri(address) };
        }
        else
        {
            _client = CreateClient();
        }

        return ValueTask.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        await base.DisposeAsync();
        _folder.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Changes a setting before the start.</summary>
    protected void Set(string key, string value) => _settings[key] = value;

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseEnvironment(_environment);
        builder.UseContentRoot(_folder.FullName);
        builder.UseSetting("urls", "http://127.0.0.1:0");
        foreach ((string key, string? value) in _settings) builder.UseSetting(key, value);
    }
}

/// <summary>Started as in Development, with only the contract's settings.</summary>
public abstract class EmbeddedHostFixture(bool sockets, Dictionary<string, string?> settings)
    : ProgramFixture(sockets, "Development", settings);

/// <summary>Started as in Production, on sockets, with its own database in which it creates its tables.</summary>
public abstract class ServerHostFixture(Dictionary<string, string?> settings)
    : ProgramFixture(sockets: true, "Production", settings)
{
    private TestDatabase? _database;

    /// <summary>The database.</summary>
    public TestDatabase Database => _database!;

    public override async ValueTask InitializeAsync()
    {
        _database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        Set("ConnectionStrings:UPool", _database.ConnectionString);
        Set("UPool:Cluster:MigrateAtStart", "true");
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_database is not null) await _database.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
