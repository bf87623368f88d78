using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace UPool.Tests.MySql.Budget;

/// <summary>
/// Relays to a server and gives each client another connection id in the handshake, as a multiplexing proxy with its
/// own ids does.
/// </summary>
internal sealed class HandshakeProxy : IAsyncDisposable
{
    private const uint Offset = 1_000_000;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly int _port;
    private readonly Task _accepting;

    public HandshakeProxy(int port)
    {
        _port = port;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
            _ = RelayAsync(await _listener.AcceptTcpClientAsync(_stop.Token));
    }

    private async Task RelayAsync(TcpClient client)
    {
        using (client)
        using (var server = new TcpClient())
        {
            try
            {
                await server.ConnectAsync(IPAddress.Loopback, _port, _stop.Token);
                NetworkStream to = server.GetStream(), from = client.GetStream();

                // The greeting: a header of four bytes, the protocol version, the zero-terminated server version, then
                // the connection id.
                var greeting = new byte[4096];
                int length = await to.ReadAtLeastAsync(greeting, 64, cancellationToken: _stop.Token);
                Span<byte> id = greeting.AsSpan(Array.IndexOf(greeting, (byte)0, 5) + 1, 4);
                BinaryPrimitives.WriteUInt32LittleEndian(id, BinaryPrimitives.ReadUInt32LittleEndian(id) + Offset);
                await from.WriteAsync(greeting.AsMemory(0, length), _stop.Token);
                await Task.WhenAny(to.CopyToAsync(from, _stop.Token), from.CopyToAsync(to, _stop.Token));
            }
            catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
            {
            }
        }
    }
}
