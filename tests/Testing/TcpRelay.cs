using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace UPool.Testing;

/// <summary>
/// A way to a server on this machine that can lose connections without a word: taken and never passed on, or cut off
/// in the middle. Neither end sees a close, as when a proxy hangs or a host loses its power.
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

    /// <summary>Where clients connect to, on 127.0.0.1.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The port that later connections lead to; those of now stay where they are.</summary>
    public int Target
    {
        get => _target;
        set => _target = value;
    }

    /// <summary>How many connections were taken, the lost ones among them.</summary>
    public int Accepted => _connections.Count;

    /// <summary>Starts to relay to a port of 127.0.0.1.</summary>
    public static TcpRelay Start(int target) => new(target);

    /// <summary>Whether clients' ends are lost: neither their goodbye nor their close reaches the server.</summary>
    public bool LosesEnds { get; set; }

    /// <summary>Takes the next connections and passes nothing on, ever.</summary>
    public void Swallow(int connections) => Volatile.Write(ref _toSwallow, connections);

    /// <summary>The connections of now carry nothing any more, not even their ends; later ones do.</summary>
    public void Silence()
    {
        foreach (Connection connection in _connections) connection.IsSilent = true;
    }

    /// <summary>Ends everything, at both ends.</summary>
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
                // The server is away: the client sees its connection end.
            }

            if (!_isSilent) Dispose();
        }

        public void Dispose()
        {
            client.Dispose();
            _server.Dispose();
        }

        // COM_QUIT, without TLS: a length of one, the first of its sequence, and the command.
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
