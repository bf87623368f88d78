using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using UPool.Api.Tests.Hosts;
using UPool.Testing;

namespace UPool.Api.Tests.Processes;

/// <summary>The program as a process: its start, its output, its stop.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class ProgramTests : IDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("upool-api-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Start_ProductionWithoutADatabase_FailsInOneLineThatNamesTheKey()
    {
        string line = await FailAsync(new() { ["ASPNETCORE_ENVIRONMENT"] = null });

        Assert.StartsWith("uPool cannot start: ConnectionStrings:UPool is missing", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("UPool__Http__MaxRows", "0", "UPool:Http:MaxRows")]
    [InlineData("UPool__Http__MaxRows", "many", "UPool:Http:MaxRows")]
    [InlineData("UPool__Http__MaxRow", "5", "UPool:Http:MaxRow ")]
    [InlineData("UPool__Budget__ServerConnections", "100", "UPool:Budget:ServerConnections is set with")]
    [InlineData("UPool__Budget__ServerConnections", "many", "UPool:Budget:ServerConnections is 'many'")]
    [InlineData("UPool__Budget__Flor", "1", "UPool:Budget:Flor is not a setting")]
    [InlineData("ConnectionStrings__UPool", "User ID=a;Password=s3cret", "ConnectionStrings:UPool: The connection")]
    [InlineData("ConnectionStrings__UPool", "Sever=a;Password=s3cret", "ConnectionStrings:UPool: The connection")]
    [InlineData("UPool__Reads__Shared", "perhaps", "UPool:Reads:Shared")]
    [InlineData("UPool__Reads__Share", "true", "UPool:Reads:Share is not a setting")]
    [InlineData("UPool__Pool__MaxConnections", "-1", "UPool:Pool:MaxConnections")]
    [InlineData("UPool__Api__HostSilo", "perhaps", "UPool:Api:HostSilo")]
    [InlineData("UPool__Api__HostSilo", "false", "UPool:Cluster:Mode")]
    [InlineData("UPool__Management__Port", "x", "UPool:Management:Port")]
    [InlineData("UPool__Management__Address", "0.0.0.0", "UPool:Management:Key")]
    [InlineData("ASPNETCORE_URLS", "nonsense", "ASPNETCORE_URLS")]
    [InlineData("ASPNETCORE_URLS", "http://127.0.0.1:99999", "ASPNETCORE_URLS")]
    public async Task Start_WrongSetting_FailsInOneLineThatNamesTheKey(string variable, string value, string key) =>
        Assert.Contains(key, await FailAsync(new() { [variable] = value }), StringComparison.Ordinal);

    [Fact]
    public async Task Start_OccupiedPort_FailsInOneLineThatNamesIt()
    {
        using var occupant = new TcpListener(IPAddress.Loopback, 0);
        occupant.Start();

        string line = await FailAsync(new() { ["ASPNETCORE_URLS"] = $"http://{occupant.LocalEndpoint}" });
        Assert.Equal(
            $"uPool cannot start: Cannot listen on http://{occupant.LocalEndpoint}: another process listens there. It "
            + "comes from Urls (ASPNETCORE_URLS).",
            line);
    }

    /// <summary>The silo binds its port when the other services already run: they are stopped and must not be reported
    /// as failed.</summary>
    [Fact]
    public async Task Start_FailsWhileOtherServicesRun_SaysSoInOneLine()
    {
        using var occupant = new TcpListener(IPAddress.Loopback, 0);
        occupant.Start();
        int port = ((IPEndPoint)occupant.LocalEndpoint).Port;

        string line = await FailAsync(new() { ["UPool__Cluster__SiloPort"] = $"{port}" });
        Assert.StartsWith("uPool cannot start: ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_Development_SaysWhatItServesInOneLine()
    {
        int port = FreePort.Next();
        await using ProcessHost api = await StartAsync(new() { ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}" });
        await api.WaitForHttpAsync(new Uri($"http://127.0.0.1:{port}/health/ready"), Patient);
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

        Assert.Equal(200, (await client.CallAsync("GET", "/user/list")).Status);
        Seen pool = await client.CallAsync("GET", "/upool/pool");
        JsonElement silo = Assert.Single(pool.Json.GetProperty("data").GetProperty("silos").EnumerateArray());
        Assert.Equal(10, silo.GetProperty("pool").GetProperty("permits").GetInt32());

        api.Terminate();
        Assert.Equal(0, await api.WaitForExitAsync(Patient));
        string line = Assert.Single(api.Lines);
        Assert.Contains($"serves http://127.0.0.1:{port}: ", line, StringComparison.Ordinal);
        Assert.Contains("SQLite", line, StringComparison.Ordinal);

        // This test's pipe is no terminal, so the log lines are JSON.
        JsonElement json = JsonDocument.Parse(line).RootElement;
        Assert.Equal("Information", json.GetProperty("LogLevel").GetString());
        Assert.Contains($"serves http://127.0.0.1:{port}: ", json.GetProperty("Message").GetString());
        Assert.EndsWith("Z", json.GetProperty("Timestamp").GetString());
    }

    [Fact]
    public async Task Start_SimpleFormatterConfigured_HoldsAwayFromATerminalToo()
    {
        await using ProcessHost api = await StartAsync(new() { ["Logging__Console__FormatterName"] = "simple" });

        string line = await api.WaitForLineAsync("serves", Patient);
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info: UPool\.", line);
    }

    [Fact]
    public async Task Terminate_WithARequestUnderWay_TurnsReadinessOffAndFinishesIt()
    {
        int port = FreePort.Next();
        await using ProcessHost api = await StartAsync(new()
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["UPool__Shutdown__Delay"] = "00:00:02",
            ["UPool__Http__RequestTimeout"] = "00:01:00",
        });
        await api.WaitForHttpAsync(new Uri($"http://127.0.0.1:{port}/health/ready"), Patient);
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        using RawClient underWay = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port));
        await underWay.SendAsync(
            "POST /user HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + "Content-Length: 14\r\n\r\n{\"name\"");

        api.Terminate();
        await api.WaitForHttpAsync(
            new Uri($"http://127.0.0.1:{port}/health/ready"), Patient, HttpStatusCode.ServiceUnavailable);
        Assert.Equal(200, (await client.CallAsync("GET", "/user/list")).Status);
        await underWay.SendAsync(":\"Eve\"}");

        Assert.StartsWith("HTTP/1.1 201 ", await underWay.ReadToEndAsync(), StringComparison.Ordinal);
        Assert.Equal(0, await api.WaitForExitAsync(Patient));
    }

    private Task<ProcessHost> StartAsync(Dictionary<string, string?> environment)
    {
        environment.TryAdd("ASPNETCORE_ENVIRONMENT", "Development");
        environment.TryAdd("ASPNETCORE_URLS", $"http://127.0.0.1:{FreePort.Next()}");
        return ProcessHost.StartDotnetAsync(
            "api", Path.Combine(AppContext.BaseDirectory, "UPool.Api.dll"), [], environment, _folder.FullName);
    }

    private async Task<string> FailAsync(Dictionary<string, string?> environment)
    {
        await using ProcessHost api = await StartAsync(environment);

        Assert.Equal(1, await api.WaitForExitAsync(Patient));
        return Assert.Single(api.Lines);
    }
}
