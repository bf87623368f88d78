using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace UPool.Testing;

/// <summary>
/// A relay to a local server that can lose connections silently: accepted and never forwarded, or cut off midway.
/// Neither end sees a close, as when a proxy hangs or a host loses power.
/// </summary>
public sealed class TcpRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private volatile int _target;
    private readonly ConcurrentBag<Connection> _connections = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private int _toSwallow;

    private TcpRelay(int target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>The port for clients, on 127.0.0.1.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The port for later connections; existing connections stay where they are.</summary>
    public int Target
    {
        get => _target;
        set => _target = value;
    }

    /// <summary>The number of accepted connections, lost ones included.</summary>
    public int Accepted => _connections.Count;

    /// <summary>Starts to relay to a port of 127.0.0.1.</summary>
    public static TcpRelay Start(int target) => new(target);

    /// <summary>If true, neither a client's COM_QUIT nor its close reaches the server.</summary>
    public bool LosesEnds { get; set; }

    /// <summary>Accepts the next connections and never forwards anything on them.</summary>
    public void Swallow(int connections) => Volatile.Write(ref _toSwallow, connections);

    /// <summary>Existing connections carry nothing more, not even their close; later connections work.</summary>
    public void Silence()
    {
        foreach (Connection connection in _connections) connection.IsSilent = true;
    }

    /// <summary>Closes every connection at both ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        foreach (Connection connection in _connections) connection.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var connection = new Connection(this, await _listener.AcceptSocketAsync(_stop.Token));
                _connections.Add(connection);
                if (Volatile.Read(ref _toSwallow) > 0) Interlocked.Decrement(ref _toSwallow);
                else _ = connection.RelayAsync(_target);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException)
        {
        }
    }

    private sealed class Connection(TcpRelay relay, Socket client) : IDisposable
    {
        private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private volatile bool _isSilent;

        public bool IsSilent
        {
            set => _isSilent = value;
        }

        public async Task RelayAsync(int target)
        {
            try
            {
                client.NoDelay = _server.NoDelay = true;
                await _server.ConnectAsync(IPAddress.Loopback, target);
                Task down = PumpAsync(_server, client);
                await Task.WhenAny(PumpAsync(client, _server), down);
                if (relay.LosesEnds) await down;
            }
            catch (SocketException)
            {
                // The server is down: the client sees its connection close.
            }

            if (!_isSilent) Dispose();
        }

        public void Dispose()
        {
            client.Dispose();
            _server.Dispose();
        }

        // COM_QUIT without TLS: payload length 1, sequence number 0, the command 1.
        private static bool IsGoodbye(ReadOnlySpan<byte> packet) => packet.SequenceEqual((byte[])[1, 0, 0, 0, 1]);

        private async Task PumpAsync(Socket from, Socket to)
        {
            var buffer = new byte[16 * 1024];
            try
            {
                int count;
                while ((count = await from.ReceiveAsync(buffer)) > 0)
                {
                    if (_isSilent || (relay.LosesEnds && IsGoodbye(buffer.AsSpan(0, count)))) continue;

                    await to.SendAsync(buffer.AsMemory(0, count));
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
            }
        }
    }
}
