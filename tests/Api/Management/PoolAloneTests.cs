using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using UPool.Api.Tests.Hosts;
using UPool.Hosting;
using UPool.Management;
using UPool.Sqlite;

namespace UPool.Api.Tests.Management;

/// <summary>Management of a pool in a program without Orleans.</summary>
public sealed class PoolAloneTests
{
    [Fact]
    public async Task Routes_PoolWithoutOrleans_ShowItsHealthItsCountsAndItsMetrics()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("upool-alone-");
        WebApplicationBuilder builder = WebApplication.CreateBuilder(
            new WebApplicationOptions { EnvironmentName = "Development", ContentRootPath = folder.FullName });
        builder.Logging.ClearProviders();
        builder.AddUPoolManagement(defaultUrl: null);
        builder.AddUPoolSqlite();
        builder.AddUPool();
        await using WebApplication app = builder.Build();
        app.UseUPoolManagement();
        app.MapUPoolManagement();
        await app.StartAsync(TestContext.Current.CancellationToken);
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };

        Assert.Equal(200, (await client.CallAsync("GET", "/health/startup")).Status);
        Assert.Equal(200, (await client.CallAsync("GET", "/health/ready")).Status);
        await using (await app.Services.GetRequiredService<PooledDataSource>().OpenConnectionAsync())
        {
            JsonElement pools = (await client.CallAsync("GET", "/upool/pool")).Json.GetProperty("data");
            JsonElement pool = Assert.Single(pools.GetProperty("silos").EnumerateArray());
            Assert.Equal("this process", pool.GetProperty("silo").GetString());
            Assert.Equal(10, pool.GetProperty("ceiling").GetInt32());
            Assert.Equal(1, pool.GetProperty("pool").GetProperty("used").GetInt32());
            Assert.False(pools.TryGetProperty("problem", out _));
        }

        Seen metrics = await client.CallAsync("GET", "/metrics");
        Assert.Contains("upool_", metrics.Body, StringComparison.Ordinal);
        await app.StopAsync(TestContext.Current.CancellationToken);
        folder.Delete(recursive: true);
    }
}
