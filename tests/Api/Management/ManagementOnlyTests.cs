using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using UPool.Api.Tests.Hosts;
using UPool.Hosting;
using UPool.Management;
using UPool.Testing;

namespace UPool.Api.Tests.Management;

/// <summary>A program with management only, as the silo is.</summary>
public sealed class ManagementOnlyTests
{
    [Fact]
    public async Task Listen_NothingConfigured_IsOneFreePortOnLoopback()
    {
        await using WebApplication silo = await StartAsync([]);

        string url = Assert.Single(silo.Urls);
        Assert.StartsWith("http://127.0.0.1:", url, StringComparison.Ordinal);
        await AssertServesManagementAloneAsync(url);
    }

    [Fact]
    public async Task Listen_WithAddressesForAnApi_IgnoresThem()
    {
        await using WebApplication silo = await StartAsync(new()
        {
            ["urls"] = $"http://127.0.0.1:{FreePort.Next()}",
            ["http_ports"] = FreePort.Next().ToString(),
        });

        string url = Assert.Single(silo.Urls);
        Assert.NotEqual(silo.Configuration["http_ports"], new Uri(url).Port.ToString());
    }

    [Fact]
    public async Task Listen_PortConfigured_IsThatOne()
    {
        int port = FreePort.Next();
        await using WebApplication silo = await StartAsync(new() { ["UPool:Management:Port"] = port.ToString() });

        Assert.Equal($"http://127.0.0.1:{port}", Assert.Single(silo.Urls));
        await AssertServesManagementAloneAsync(silo.Urls.Single());
    }

    [Fact]
    public async Task Listen_BeyondLoopbackWithAKey_IsAllowedAndNeedsIt()
    {
        await using WebApplication silo = await StartAsync(new()
        {
            ["UPool:Management:Address"] = "0.0.0.0",
            ["UPool:Management:Key"] = "key",
        });
        int port = new Uri(silo.Urls.Single()).Port;
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

        (await client.CallAsync("GET", "/upool/pool")).Refuses(401, "key required");
        (await client.CallAsync("GET", "/upool/pool", headers: ("Authorization", "Bearer key")))
            .Refuses(404, "this process has no pool");
        Assert.Equal(200, (await client.CallAsync("GET", "/health/ready")).Status);
    }

    private static async Task AssertServesManagementAloneAsync(string url)
    {
        using var client = new HttpClient { BaseAddress = new Uri(url) };
        Assert.Equal(200, (await client.CallAsync("GET", "/health/startup")).Status);
        Assert.Equal(200, (await client.CallAsync("GET", "/health/live")).Status);
        Assert.Equal(200, (await client.CallAsync("GET", "/health/ready")).Status);
        (await client.CallAsync("GET", "/upool/pool")).Refuses(404, "this process has no pool");
        (await client.CallAsync("GET", "/")).Refuses(404, "not found");
        (await client.CallAsync("POST", "/health/live")).Refuses(405, "method not allowed");
    }

    private static async Task<WebApplication> StartAsync(Dictionary<string, string?> settings)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(
            new WebApplicationOptions { EnvironmentName = "Production", ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Logging.ClearProviders();
        builder.AddUPoolManagement(defaultUrl: null);
        builder.Services.AddSingleton<IProcessStatus>(new FakeStatus());
        WebApplication app = builder.Build();
        app.UseUPoolManagement();
        app.MapUPoolManagement();
        await app.StartAsync();
        return app;
    }
}
