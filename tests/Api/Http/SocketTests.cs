using System.Text;
using UPool.Api.Tests.Hosts;
using UPool.Cluster;

namespace UPool.Api.Tests.Http;

/// <summary>Cases that need sockets: malformed requests, and clients that disconnect.</summary>
public sealed class SocketTests : IAsyncLifetime
{
    private const string Post = "POST /user HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";

    private ApiHost? _host;

    private ApiHost Host => _host!;

    public async ValueTask InitializeAsync() => _host = await ApiHost.StartAsync(sockets: true);

    public ValueTask DisposeAsync() => Host.DisposeAsync();

    [Theory]
    [InlineData("GET /user/%zz HTTP/1.1\r\nHost: a\r\n")]
    [InlineData("GET /user/%FF HTTP/1.1\r\nHost: a\r\n")]
    [InlineData("GET /user/%C3%28 HTTP/1.1\r\nHost: a\r\n")]
    [InlineData("GET /user/%ED%A0%80 HTTP/1.1\r\nHost: a\r\n")]
    [InlineData("GET /user/%e2%82 HTTP/1.1\r\nHost: a\r\n")]
    public async Task Path_InvalidEncoding_Is400InTheEnvelope(string head)
    {
        string reply = await ExchangeAsync(head + "Connection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", reply, StringComparison.Ordinal);
        Assert.EndsWith(
            """{"code":0,"msg":"id must be a whole number from 1 to 9223372036854775807"}""",
            reply,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET /user/list?limit=%zz HTTP/1.1\r\nHost: a\r\n")]
    [InlineData("GET /user/list?limit=%FF HTTP/1.1\r\nHost: a\r\n")]
    public async Task Query_InvalidEncoding_Is400InTheEnvelope(string head)
    {
        string reply = await ExchangeAsync(head + "Connection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", reply, StringComparison.Ordinal);
        Assert.EndsWith(
            """{"code":0,"msg":"limit must be a whole number from 1 to 10000"}""", reply, StringComparison.Ordinal);
    }

    // These never become requests: the web server refuses them without a body and closes the connection.
    [Theory]
    [InlineData("nonsense\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\n\r\n", 400)]
    [InlineData("GET /user/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400)]
    [InlineData("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505)]
    public async Task Request_NotHttp_IsRefusedAndClosed(string request, int status)
    {
        string reply = await ExchangeAsync(request);

        Assert.StartsWith($"HTTP/1.1 {status} ", reply, StringComparison.Ordinal);
        Assert.Equal(200, (await Host.Client.CallAsync("GET", "/")).Status);
    }

    [Fact]
    public async Task Path_TooLong_Is414() =>
        Assert.StartsWith("HTTP/1.1 414 ",
            await ExchangeAsync($"GET /{new string('a', 10_000)} HTTP/1.1\r\nHost: a\r\n\r\n"),
            StringComparison.Ordinal);

    [Fact]
    public async Task Body_BadChunk_Is400InTheEnvelope()
    {
        string reply = await ExchangeAsync(
            Post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", reply, StringComparison.Ordinal);
        Assert.EndsWith("""{"code":0,"msg":"bad request"}""", reply, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_Chunked_IsRead()
    {
        string reply = await ExchangeAsync(
            "POST /user HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"name\"\r\n6\r\n: \"x\"}\r\n0\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 201 ", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_EmptyChunked_IsEmpty()
    {
        string reply = await ExchangeAsync(
            "POST /user HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");

        Assert.EndsWith("""{"code":0,"msg":"the body is empty"}""", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_AnnouncedTooLarge_IsRefusedBeforeItIsSent()
    {
        string reply = await ExchangeAsync(
            Post + "Content-Length: 99999999\r\n"
            + "Expect: 100-continue\r\nConnection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 413 ", reply, StringComparison.Ordinal);
        Assert.EndsWith("""{"code":0,"msg":"the body is too large"}""", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_ChunkedTooLarge_Is413()
    {
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Http:MaxBodyBytes"] = "1024" });
        using RawClient raw = await RawClient.ConnectAsync(host.Addresses[0]);
        await raw.SendAsync(
            "POST /user HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + $"Transfer-Encoding: chunked\r\n\r\n800\r\n{new string('x', 2048)}\r\n0\r\n\r\n");
        string reply = await raw.ReadToEndAsync();

        Assert.StartsWith("HTTP/1.1 413 ", reply, StringComparison.Ordinal);
        Assert.EndsWith("""{"code":0,"msg":"the body is too large"}""", reply, StringComparison.Ordinal);
    }

    // The web server does not read such a body to its end, so the connection closes: a client that does not
    // learn of it would lose its next request.
    [Theory]
    [InlineData("POST", "/user", "application/json", 413)]
    [InlineData("POST", "/user", "text/plain", 415)]
    [InlineData("POST", "/nothing", "application/json", 404)]
    [InlineData("DELETE", "/user", "application/json", 405)]
    public async Task Body_AboveTheLimitAndUnread_TellsThatTheConnectionCloses(
        string method, string path, string type, int status)
    {
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Http:MaxBodyBytes"] = "1024" });
        using RawClient raw = await RawClient.ConnectAsync(host.Addresses[0]);
        await raw.SendAsync(
            $"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {type}\r\nContent-Length: 2048\r\n\r\n");
        string reply = await raw.ReadToEndAsync();

        Assert.StartsWith($"HTTP/1.1 {status} ", reply, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_NotThereByTheDeadline_Is408AndTheConnectionCloses()
    {
        await using ApiHost host = await ApiHost.StartAsync(
            sockets: true, new() { ["UPool:Http:RequestTimeout"] = "00:00:00.050" });
        using RawClient raw = await RawClient.ConnectAsync(host.Addresses[0]);
        await raw.SendAsync(Post + "Content-Length: 14\r\n\r\n{\"na");
        string reply = await raw.ReadToEndAsync();

        Assert.StartsWith("HTTP/1.1 408 ", reply, StringComparison.Ordinal);
        Assert.EndsWith("""{"code":0,"msg":"the body did not arrive in time"}""", reply, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET /user/1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /user/{id}")]
    [InlineData(Post + "Content-Length: 12\r\n\r\n{\"name\":\"x\"}", "POST /user")]
    public async Task Client_GoesAway_CancelsItsCallAndLogs499(string request, string route)
    {
        var entered = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        Host.Users.Script = async (_, token) =>
        {
            token.Register(() => cancelled.TrySetResult());
            entered.TrySetResult();
            await cancelled.Task;
            throw new OperationCanceledException(token);
        };
        using RawClient raw = await RawClient.ConnectAsync(Host.Addresses[0]);
        await raw.SendAsync(request);
        await entered.Task.WaitAsync(Patience.Long);
        Assert.False(cancelled.Task.IsCompleted);

        raw.Reset();

        await cancelled.Task.WaitAsync(Patience.Long);
        Assert.Contains($"499 {route}:", await Host.Log.WaitForAsync("499 "), StringComparison.Ordinal);
        Assert.DoesNotContain(Host.Log.All, static line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_GoesAwayAndTheCallEndsAnyway_IsStill499()
    {
        var entered = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        Host.Users.Script = async (_, token) =>
        {
            token.Register(() => cancelled.TrySetResult());
            entered.TrySetResult();
            await cancelled.Task;
            return new Outcome(ReplyStatus.Failed);
        };
        using RawClient raw = await RawClient.ConnectAsync(Host.Addresses[0]);
        await raw.SendAsync("GET /user/1 HTTP/1.1\r\nHost: a\r\n\r\n");
        await entered.Task.WaitAsync(Patience.Long);
        raw.Reset();

        await Host.Log.WaitForAsync("499 GET /user/{id}");
    }

    [Fact]
    public async Task Head_OnSockets_SendsNoBody()
    {
        string reply = await ExchangeAsync("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

        Assert.Contains("Content-Length: 33", reply, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_Pipelined_AreAllAnswered()
    {
        var requests = new StringBuilder();
        for (int i = 0; i < 5; i++) requests.Append("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        string replies = await ExchangeAsync(requests + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

        Assert.Equal(6, replies.Split("API is running").Length - 1);
    }

    private async Task<string> ExchangeAsync(string request)
    {
        using RawClient raw = await RawClient.ConnectAsync(Host.Addresses[0]);
        await raw.SendAsync(request);
        return await raw.ReadToEndAsync();
    }
}
