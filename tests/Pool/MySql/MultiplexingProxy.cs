using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace UPool.Tests.MySql;

/// <summary>
/// A proxy that greets each client with its own thread id, as one that shares server sessions among clients does: the
/// id that the client sees belongs to another session, or to none. It forwards everything else. Plain text only.
/// </summary>
internal sealed class MultiplexingProxy : IAsyncDisposable
{
    private const int HeaderLength = 4;
    private const uint Shift = 1_000_000;

    // IPPROTO_TCP, TCP_INFO and TCP_ESTABLISHED of Linux.
    private const int TcpProtocol = 6, TcpInfo = 11, TcpEstablished = 1;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly int _target;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly List<Socket> _clients = [];
    private int _most, _accepted;

    private MultiplexingProxy(int target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>The port for clients, on 127.0.0.1.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public int Accepted
    {
        get
        {
            lock (_gate) return _accepted;
        }
    }

    /// <summary>The most client sockets open at the same time.</summary>
    public int MostClients
    {
        get
        {
            lock (_gate) return _most;
        }
    }

    public static MultiplexingProxy Start(int target) => new(target);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        lock (_gate) _clients.ForEach(static client => client.Dispose());
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_stop.Token);
                lock (_gate)
                {
                    // A client's close may have arrived unnoticed: it was sent before this connect.
                    _clients.RemoveAll(HasEnded);
                    _clients.Add(client);
                    _most = Math.Max(_most, _clients.Count);
                    _accepted++;
                }

                _ = RelayAsync(client);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException)
        {
        }
    }

    // Ask the kernel: an unread last packet would hide the close behind it.
    private static bool HasEnded(Socket socket)
    {
        try
        {
            Span<byte> state = stackalloc byte[1];
            socket.GetRawSocketOption(TcpProtocol, TcpInfo, state);
            return state[0] != TcpEstablished;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            return true;
        }
    }

    private async Task RelayAsync(Socket client)
    {
        using Socket server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            client.NoDelay = server.NoDelay = true;
            await server.ConnectAsync(IPAddress.Loopback, _target);
            await client.SendAsync(await ReadGreetingAsync(server));
            await Task.WhenAny(PumpAsync(client, server), PumpAsync(server, client));
        }
        catch (SocketException)
        {
            // The client sees its connection close.
        }

        client.Dispose();
    }

    /// <summary>Reads the server's first packet (protocol 10: one byte, the zero-terminated version, the thread id) and
    /// replaces the id.</summary>
    private static async Task<byte[]> ReadGreetingAsync(Socket server)
    {
        byte[] header = new byte[HeaderLength];
        await ReceiveAsync(server, header);
        byte[] packet = [.. header, .. new byte[header[0] | (header[1] << 8) | (header[2] << 16)]];
        await ReceiveAsync(server, packet.AsMemory(HeaderLength));
        Assert.Equal(10, packet[HeaderLength]);
        int at = Array.IndexOf(packet, (byte)0, HeaderLength + 1) + 1;
        uint id = BinaryPrimitives.ReadUInt32LittleEndian(packet.AsSpan(at));
        BinaryPrimitives.WriteUInt32LittleEndian(packet.AsSpan(at), id + Shift);
        return packet;
    }

    private static async Task ReceiveAsync(Socket from, Memory<byte> buffer)
    {
        for (int have = 0; have < buffer.Length;)
        {
            int count = await from.ReceiveAsync(buffer[have..]);
            if (count == 0) throw new SocketException((int)SocketError.ConnectionReset);

            have += count;
        }
    }

    private static async Task PumpAsync(Socket from, Socket to)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            int count;
            while ((count = await from.ReceiveAsync(buffer)) > 0) await to.SendAsync(buffer.AsMemory(0, count));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
        }
    }
}
