using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using UPool.Api.Tests.Hosts;
using UPool.Management;
using UPool.Testing;

namespace UPool.Api.Tests.Management;

/// <summary>Which callers may use the management routes, and on which port; on sockets.</summary>
public sealed class ManagementAccessTests
{
    private const string Key = "correct-horse";
    private const string Pool = "/upool/pool";

    [Fact]
    public async Task NoKeyNoPort_CallerOnThisMachine_IsLetInOnALoopbackPortOfItsOwn()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);

        // There is no pool behind the fake users: the route itself replied.
        (await host.Management.CallAsync("GET", Pool)).Refuses(404, "this process has no pool");
        Assert.True(IPAddress.IsLoopback(host.Addresses[^1].Address));
        (await host.Management.CallAsync("GET", "/user/list")).Refuses(404, "not found");
    }

    // nginx's plain proxy_pass: it connects from this machine, names the upstream address as Host, and adds no header.
    [Theory]
    [InlineData("/upool/pool")]
    [InlineData("/metrics")]
    [InlineData("/upool/anything")]
    [InlineData("/UPOOL/pool")]
    [InlineData("/%75pool/pool")]
    [InlineData("/upool/pool/")]
    [InlineData("/upool?a=/health/ready")]
    [InlineData("/Metrics/")]
    [InlineData("/health/..%2Fupool/pool")]
    [InlineData("/upool/pool?format=json")]
    public async Task NoKeyNoPort_PlainProxyOnThisMachine_FindsNothing(string path)
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);

        (await host.Client.CallAsync("GET", path, headers: ("Host", host.Addresses[0].ToString())))
            .Refuses(404, "not found");
        (await host.Client.CallAsync("GET", path, headers: ("Host", host.Addresses[^1].ToString())))
            .Refuses(404, "not found");
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/health/ready")).Status);
    }

    // Requests that no well-behaved client sends; the port that they name is not the one that they arrive on.
    [Theory]
    [InlineData("GET http://127.0.0.1:{port}/upool/pool HTTP/1.1\r\nHost: 127.0.0.1:{port}")]
    [InlineData("GET http://localhost:{port}/metrics HTTP/1.1\r\nHost: localhost:{port}")]
    [InlineData("GET /upool/pool HTTP/1.0")]
    [InlineData("GET //upool/pool HTTP/1.1\r\nHost: 127.0.0.1:{port}")]
    [InlineData("GET /./upool/pool HTTP/1.1\r\nHost: 127.0.0.1:{port}")]
    [InlineData("GET /health/../upool/pool HTTP/1.1\r\nHost: 127.0.0.1:{port}")]
    [InlineData("GET /health/%2e%2e/upool/pool HTTP/1.1\r\nHost: 127.0.0.1:{port}")]
    [InlineData("POST /upool/pool HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0")]
    [InlineData("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Original-URL: /upool/pool")]
    public async Task NoKeyNoPort_OddRequestOnTheApisPort_FindsNothing(string head)
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);
        using var client = new TcpClient();
        await client.ConnectAsync(host.Addresses[0], TestContext.Current.CancellationToken);
        string request = head.Replace(
            "{port}", host.Addresses[^1].Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
            StringComparison.Ordinal) + "\r\nConnection: close\r\n\r\n";
        await client.GetStream().WriteAsync(
            System.Text.Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream());
        string reply = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.DoesNotContain("this process has no pool", reply, StringComparison.Ordinal);
        Assert.DoesNotContain("# TYPE", reply, StringComparison.Ordinal);
        if (!head.StartsWith("GET / ", StringComparison.Ordinal))
            Assert.DoesNotContain("200 OK", reply, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("X-Forwarded-For", "203.0.113.9")]
    [InlineData("Forwarded", "for=203.0.113.9")]
    [InlineData("Via", "1.1 proxy")]
    [InlineData("Host", "rebound.example")]
    [InlineData("Host", "127.0.0.1.rebound.example")]
    [InlineData("Host", "localhost.rebound.example")]
    [InlineData("X-Real-IP", "203.0.113.9")]
    [InlineData("X-Forwarded-Host", "upool.example")]
    [InlineData("x-forwarded-proto", "https")]
    [InlineData("X-Client-IP", "203.0.113.9")]
    [InlineData("CF-Connecting-IP", "203.0.113.9")]
    [InlineData("true-client-ip", "203.0.113.9")]
    public async Task NoKeyNoPort_ThroughAProxyOrARebound_Is403(string header, string value)
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);

        (await host.Management.CallAsync("GET", Pool, headers: (header, value)))
            .Refuses(403, "callers on this machine only");
        (await host.Management.CallAsync("GET", "/metrics", headers: (header, value)))
            .Refuses(403, "callers on this machine only");
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/health/ready", headers: (header, value))).Status);
    }

    [Theory]
    [InlineData("10.1.2.3", 403)]
    [InlineData("::ffff:10.1.2.3", 403)]
    [InlineData("2001:db8::1", 403)]
    [InlineData("127.0.0.9", 404)]
    [InlineData("::ffff:127.0.0.1", 404)]
    [InlineData("::1", 404)]
    public async Task NoKeyNoPort_ByTheCallersAddress_IsDecided(string address, int status)
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: false, configure: builder =>
            builder.Services.AddSingleton<IStartupFilter>(new FromAddress(IPAddress.Parse(address))));

        Assert.Equal(status, (await host.Client.CallAsync("GET", Pool)).Status);
    }

    [Fact]
    public async Task NoKeyNoPort_OnIPv6Loopback_IsLetIn()
    {
        Assert.True(Socket.OSSupportsIPv6, "This test needs IPv6 on loopback.");
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Management:Address"] = "::1" });

        (await host.Management.CallAsync("GET", Pool)).Refuses(404, "this process has no pool");
    }

    [Fact]
    public async Task Key_Given_IsNeededByEveryRequest()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true, new() { ["UPool:Management:Key"] = Key });

        (await host.Client.CallAsync("GET", Pool, headers: ("Authorization", "Bearer " + Key)))
            .Refuses(404, "this process has no pool");
        (await host.Client.CallAsync("GET", Pool, headers: ("Authorization", "bearer " + Key)))
            .Refuses(404, "this process has no pool");
        foreach (string wrong in new[]
        {
            "Bearer", "Bearer ", "Bearer wrong", $"Bearer {Key}x", $"Bearer {Key[..^1]}",
            $"Bearer {Key.ToUpperInvariant()}", $"Basic {Key}", Key, $"Bearer {Key}, Bearer {Key}",
        })
        {
            Seen seen = await host.Client.CallAsync("GET", Pool, headers: ("Authorization", wrong));
            seen.Refuses(401, "key required");
            Assert.Equal("Bearer", seen.Header("WWW-Authenticate"));
        }

        string[] paths =
            [Pool, "/upool", "/upool/", "/UPOOL/Pool", "/%75pool/pool", "/upool/nothing", "/metrics", "/metrics/x"];
        foreach (string path in paths)
            (await host.Client.CallAsync("GET", path)).Refuses(401, "key required");
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/health/ready")).Status);
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/user/list")).Status);
    }

    [Fact]
    public async Task Port_Given_HasTheRoutesThereAndOnlyThere()
    {
        int port = FreePort.Next();
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Management:Port"] = port.ToString(), ["UPool:Management:Key"] = Key });
        using var management = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        (string, string) bearer = ("Authorization", "Bearer " + Key);

        (await management.CallAsync("GET", Pool, headers: bearer)).Refuses(404, "this process has no pool");
        (await management.CallAsync("GET", Pool)).Refuses(401, "key required");
        (await host.Client.CallAsync("GET", Pool, headers: bearer)).Refuses(404, "not found");
        (await host.Client.CallAsync("GET", Pool, headers: [bearer, ("Host", $"127.0.0.1:{port}")]))
            .Refuses(404, "not found");

        Assert.Equal(200, (await management.CallAsync("GET", "/health/ready")).Status);
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/health/ready")).Status);
        (await management.CallAsync("GET", "/user/list")).Refuses(404, "not found");
        (await management.CallAsync("GET", "/")).Refuses(404, "not found");
        (await management.CallAsync("GET", "/openapi/v1.json")).Refuses(404, "not found");
    }

    [Fact]
    public async Task Port_OnLoopbackWithoutAKey_LetsCallersOnThisMachineIn()
    {
        int port = FreePort.Next();
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Management:Port"] = port.ToString() });
        using var management = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

        (await management.CallAsync("GET", Pool)).Refuses(404, "this process has no pool");
        (await host.Client.CallAsync("GET", Pool)).Refuses(404, "not found");
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("::")]
    [InlineData("10.0.0.1")]
    public async Task Address_BeyondLoopbackWithoutAKey_DoesNotStart(string address)
    {
        var e = await Assert.ThrowsAsync<OptionsValidationException>(() => ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Management:Port"] = "9999", ["UPool:Management:Address"] = address }));

        Assert.Contains("UPool:Management:Key", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Port_Occupied_FailsTheStartAndNamesTheKey()
    {
        using var occupant = new TcpListener(IPAddress.Loopback, 0);
        occupant.Start();
        int port = ((IPEndPoint)occupant.LocalEndpoint).Port;

        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Management:Port"] = port.ToString() }));

        Assert.Contains(port.ToString(), e.Message, StringComparison.Ordinal);
        Assert.Contains("UPool:Management:Port", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Port_NotGiven_IsTakenFromTheMomentItIsChosen()
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(
            new WebApplicationOptions { EnvironmentName = "Production", ContentRootPath = AppContext.BaseDirectory });
        builder.AddUPoolApi();
        var place = (ManagementPlace)builder.Services
            .Single(static service => service.ServiceType == typeof(ManagementPlace)).ImplementationInstance!;
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        var e = Assert.Throws<SocketException>(() => other.Bind(new IPEndPoint(IPAddress.Loopback, place.Port!.Value)));

        Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);
    }

    [Fact]
    public async Task Port_WithKestrelEndpoints_IsOneOfThem()
    {
        int port = FreePort.Next();
        await using ApiHost host = await ApiHost.StartAsync(sockets: true, new()
        {
            ["Kestrel:Endpoints:Main:Url"] = "http://127.0.0.1:0",
            ["UPool:Management:Port"] = port.ToString(),
        });
        using var management = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

        Assert.Equal(2, host.Addresses.Length);
        Assert.Equal(200, (await management.CallAsync("GET", "/health/live")).Status);
    }

    [Fact]
    public async Task Urls_HttpPorts_AreRespected()
    {
        int port = FreePort.Next();
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["urls"] = "", ["http_ports"] = port.ToString() });
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

        Assert.Equal(200, (await client.CallAsync("GET", "/")).Status);
    }

    private sealed class FromAddress(IPAddress address) : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
        {
            app.Use((HttpContext context, RequestDelegate rest) =>
            {
                context.Connection.RemoteIpAddress = address;
                return rest(context);
            });
            next(app);
        };
    }
}
