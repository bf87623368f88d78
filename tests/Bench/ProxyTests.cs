using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

using UPool.Bench.DelayProxy;

namespace UPool.Bench.Tests;

/// <summary>The proxy that delays the way to the database.</summary>
public sealed class ProxyTests
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Relay_ManyPieces_ComeInOrderOneDelayLaterAndNotOneAfterTheOther()
    {
        const int Pieces = 100;
        using var bound = new CancellationTokenSource(Patience);
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        using var proxy = new Proxy(((IPEndPoint)server.LocalEndpoint).Port, Delay);
        _ = proxy.RunAsync();
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, bound.Token);
        using TcpClient far = await server.AcceptTcpClientAsync(bound.Token);
        byte[] sent = [.. Enumerable.Range(0, Pieces).Select(static piece => (byte)piece)];
        var received = new byte[Pieces];

        long startedAt = Stopwatch.GetTimestamp();
        foreach (byte piece in sent) await client.GetStream().WriteAsync((byte[])[piece], bound.Token);
        await far.GetStream().ReadExactlyAsync(received, bound.Token);
        TimeSpan took = Stopwatch.GetElapsedTime(startedAt);

        Assert.Equal(sent, received);
        Assert.InRange(took, Delay, Delay * (Pieces / 2));
    }

    [Fact]
    public async Task Relay_ClientCloses_ServerSeesItAfterEverythingThatWasSent()
    {
        using var bound = new CancellationTokenSource(Patience);
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        using var proxy = new Proxy(((IPEndPoint)server.LocalEndpoint).Port, Delay);
        _ = proxy.RunAsync();
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, bound.Token);
        using TcpClient far = await server.AcceptTcpClientAsync(bound.Token);

        await client.GetStream().WriteAsync((byte[])[1, 2, 3], bound.Token);
        client.Close();
        using var received = new MemoryStream();
        await far.GetStream().CopyToAsync(received, bound.Token);

        Assert.Equal([1, 2, 3], received.ToArray());
    }
}
