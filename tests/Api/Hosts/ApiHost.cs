using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using UPool.Api.Users;
using UPool.Hosting;

namespace UPool.Api.Tests.Hosts;

/// <summary>The HTTP API as the program composes it, with fake users instead of a cluster.</summary>
internal sealed class ApiHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private HttpClient? _management;

    private ApiHost(WebApplication app, HttpClient client, IPEndPoint[] addresses)
    {
        _app = app;
        Client = client;
        Addresses = addresses;
    }

    public HttpClient Client { get; }

    /// <summary>The addresses it listens on; empty in memory.</summary>
    public IPEndPoint[] Addresses { get; }

    /// <summary>A client for the management routes, which without a key are on their own port.</summary>
    public HttpClient Management => _management ??= new HttpClient { BaseAddress = new Uri($"http://{Addresses[^1]}") };

    public FakeUsers Users { get; private init; } = new();

    public FakeStatus Status { get; private init; } = new();

    public LogLines Log { get; private init; } = new();

    public IServiceProvider Services => _app.Services;

    public static async Task<ApiHost> StartAsync(
        bool sockets, Dictionary<string, string?>? settings = null, Action<WebApplicationBuilder>? configure = null)
    {
        var users = new FakeUsers();
        var status = new FakeStatus();
        var log = new LogLines();
        WebApplicationBuilder builder = WebApplication.CreateBuilder(
            new WebApplicationOptions { EnvironmentName = "Production", ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration["urls"] = "http://127.0.0.1:0";
        builder.Configuration.AddInMemoryCollection(settings ?? []);
        builder.Logging.ClearProviders().AddProvider(log);
        builder.AddUPoolApi();
        builder.Services.AddSingleton<IUsers>(users);
        builder.Services.AddSingleton<IProcessStatus>(status);
        if (!sockets) builder.WebHost.UseTestServer();
        configure?.Invoke(builder);

        WebApplication app = builder.Build();
        app.UseUPoolApi();
        await app.StartAsync();
        var bound = app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>();
        IPEndPoint[] addresses = sockets
            ? [.. bound.Addresses.Select(static address => IPEndPoint.Parse(new Uri(address).Authority))]
            : [];
        HttpClient client = sockets
            ? new HttpClient { BaseAddress = new Uri($"http://{addresses[0]}") }
            : app.GetTestClient();
        return new ApiHost(app, client, addresses) { Users = users, Status = status, Log = log };
    }

    public Task StopAsync() => _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        _management?.Dispose();
        await _app.DisposeAsync();
    }
}
