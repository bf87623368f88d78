using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using UPool.Api.Tests.Hosts;
using UPool.Cluster;

namespace UPool.Api.Tests.Http;

/// <summary>The limits of the HTTP API.</summary>
public sealed class LimitTests
{
    [Fact]
    public async Task MaxRequestsInFlight_OneMore_IsRefusedAtOnceAndHealthIsNot()
    {
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Http:MaxRequestsInFlight"] = "1" });
        var entered = new TaskCompletionSource();
        var release = new TaskCompletionSource<Outcome>();
        host.Users.Script = (_, _) =>
        {
            entered.TrySetResult();
            return release.Task;
        };
        Task<Seen> first = host.Client.CallAsync("GET", "/user/1");
        await entered.Task.WaitAsync(Patience.Long);

        Seen second = await host.Client.CallAsync("GET", "/user/1");
        second.Refuses(503, "queue empty");
        Assert.Equal(("queue-full", "1"), (second.Header("UPool-Reason"), second.Header("Retry-After")));
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/health/ready")).Status);

        release.SetResult(new Outcome(ReplyStatus.NotFound));
        (await first).Refuses(404, "not found");
        (await host.Client.CallAsync("GET", "/user/1")).Refuses(404, "not found");
    }

    [Fact]
    public async Task MaxRequestsInFlight_AfterExceptions_IsWholeAgain()
    {
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: false, new() { ["UPool:Http:MaxRequestsInFlight"] = "1" });
        host.Users.Script = static (_, _) => throw new InvalidOperationException();

        for (int i = 0; i < 3; i++) (await host.Client.CallAsync("GET", "/user/1")).Refuses(500, "error");
    }

    [Fact]
    public async Task Start_NotYetDone_IsUnavailable()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);
        host.Status.IsStarted = false;
        host.Status.Health = new PoolHealth(false, "the database cannot be reached");

        Seen seen = await host.Client.CallAsync("GET", "/user/list");
        seen.Refuses(503, "error");
        Assert.Equal(("unavailable", "1"), (seen.Header("UPool-Reason"), seen.Header("Retry-After")));

        const string Data = """{"started":false,"stopping":false,"problem":"the database cannot be reached"}""";
        (await host.Client.CallAsync("GET", "/health/startup"))
            .Is(503, $$"""{"code":0,"msg":"starting","data":{{Data}}}""");
        (await host.Client.CallAsync("GET", "/health/ready"))
            .Is(503, $$"""{"code":0,"msg":"starting","data":{{Data}}}""");
        (await host.Client.CallAsync("GET", "/health/live")).Is(200, """{"code":1,"msg":"live"}""");
    }

    [Fact]
    public async Task Ready_DatabaseAway_StaysReadyAndSaysWhatAils()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: false);
        host.Status.Health = new PoolHealth(false, "access denied for this account");

        const string Data = """{"started":true,"stopping":false,"problem":"access denied for this account"}""";
        (await host.Client.CallAsync("GET", "/health/ready")).Is(200, $$"""{"code":1,"msg":"ready","data":{{Data}}}""");
    }

    [Fact]
    public async Task Ready_Stopping_Is503()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: false);
        host.Status.IsStopping = true;

        (await host.Client.CallAsync("GET", "/health/ready")).Is(503,
            """{"code":0,"msg":"stopping","data":{"started":true,"stopping":true}}""");
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/health/startup")).Status);
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/user/list")).Status);
    }

    [Fact]
    public async Task Stop_WithADelay_TakesNewConnectionsUntilItIsOver()
    {
        var clock = new FakeTimeProvider();
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true,
            new() { ["UPool:Shutdown:Delay"] = "00:00:05" },
            builder => builder.Services.AddSingleton<TimeProvider>(clock));
        (string, string) close = ("Connection", "close");

        Task stopped = host.StopAsync();
        for (int i = 0; i < 20; i++)
            Assert.Equal(200, (await host.Client.CallAsync("GET", "/user/list", headers: close)).Status);
        Assert.False(stopped.IsCompleted);

        clock.Advance(TimeSpan.FromSeconds(5));
        await stopped.WaitAsync(Patience.Long);
        await Assert.ThrowsAsync<HttpRequestException>(() => host.Client.CallAsync("GET", "/user/list"));
    }

    [Fact]
    public async Task Options_OfTheDefaults_AreThoseOfTheDesign()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: false);

        Assert.Equal(200, (await host.Client.CallAsync("GET", "/user/list?limit=10000")).Status);
        (await host.Client.CallAsync("GET", "/user/list?limit=10001"))
            .Refuses(400, "limit must be a whole number from 1 to 10000");
        KestrelServerLimits limits = host.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits;
        Assert.Equal(4_194_304, limits.MaxRequestBodySize);
        Assert.Equal(4_096, limits.MaxConcurrentConnections);
        Assert.Equal(TimeSpan.FromSeconds(130), limits.KeepAliveTimeout);
        Assert.Equal(TimeSpan.FromSeconds(10), limits.RequestHeadersTimeout);
    }

    [Theory]
    [InlineData("UPool:Http:MaxRows", "0")]
    [InlineData("UPool:Http:MaxBodyBytes", "1")]
    [InlineData("UPool:Http:MaxRequestsInFlight", "0")]
    [InlineData("UPool:Http:MaxClientConnections", "0")]
    [InlineData("UPool:Http:RequestTimeout", "00:00:00")]
    [InlineData("UPool:Http:RetryAfter", "00:00:00.5")]
    [InlineData("UPool:Http:KeepAliveTimeout", "-00:00:01")]
    [InlineData("UPool:Http:HeadersTimeout", "1.00:00:00")]
    [InlineData("UPool:Http:MaxRow", "5")]
    [InlineData("UPool:Shutdown:Delay", "00:00:30")]
    [InlineData("UPool:Shutdown:Delay", "-00:00:01")]
    [InlineData("UPool:Shutdown:Timeout", "00:00:01")]
    [InlineData("UPool:Management:Port", "70000")]
    [InlineData("UPool:Management:Key", "")]
    [InlineData("UPool:Management:Key", "with space")]
    [InlineData("UPool:Management:Address", "localhost")]
    [InlineData("UPool:Management:Ports", "1")]
    public async Task Start_WrongOption_FailsAndNamesTheKey(string key, string value)
    {
        var e = await Assert.ThrowsAsync<OptionsValidationException>(
            () => ApiHost.StartAsync(sockets: false, new() { [key] = value }));

        Assert.Contains(key, e.Message, StringComparison.Ordinal);
    }
}
