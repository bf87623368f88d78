using System.Net;
using System.Net.Sockets;
using System.Text;

namespace UPool.Api.Tests.Hosts;

/// <summary>A bare socket that can send what no HTTP client would.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly TcpClient _client = new() { NoDelay = true };

    public static async Task<RawClient> ConnectAsync(IPEndPoint address)
    {
        var raw = new RawClient();
        await raw._client.ConnectAsync(address);
        return raw;
    }

    /// <summary>Sends each character as one byte.</summary>
    public Task SendAsync(string latin1) => _client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(latin1)).AsTask();

    /// <summary>Reads until the connection closes; request that with <c>Connection: close</c>.</summary>
    public async Task<string> ReadToEndAsync()
    {
        using var patience = new CancellationTokenSource(Patience.Long);
        using var reader = new StreamReader(_client.GetStream(), Encoding.UTF8, leaveOpen: true);
        return await reader.ReadToEndAsync(patience.Token);
    }

    /// <summary>Resets the connection.</summary>
    public void Reset()
    {
        _client.Client.LingerState = new LingerOption(true, 0);
        _client.Close();
    }

    public void Dispose() => _client.Dispose();
}
