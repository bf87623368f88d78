using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace UPool.Bench.DelayProxy;

/// <summary>
/// Forwards the data of both ends in order, each piece one delay after its arrival. Pieces wait concurrently, as on a
/// longer cable: the delay does not limit the throughput.
/// </summary>
public sealed class Proxy : IDisposable
{
    // Larger than any reply of the benchmarks except the largest, which arrives in pieces on any network.
    private const int PieceBytes = 64 * 1024;

    // 64 MiB under way in one direction: far more than a server sends in a delay, and a bound on memory.
    private const int MaxPieces = 1024;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly int _target;
    private readonly DelayLine _delays;

    /// <summary>Listens on a free port of 127.0.0.1.</summary>
    /// <param name="target">The port of the server, on 127.0.0.1.</param>
    /// <param name="delay">The delay of each direction.</param>
    public Proxy(int target, TimeSpan delay)
    {
        _target = target;
        _delays = new DelayLine(delay);
        _listener.Start();
    }

    /// <summary>The port for clients.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Serves until it is disposed.</summary>
    public async Task RunAsync()
    {
        try
        {
            while (true) _ = RelayAsync(await _listener.AcceptSocketAsync());
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _listener.Dispose();
        _delays.Dispose();
    }

    private async Task RelayAsync(Socket client)
    {
        using Socket near = client;
        using var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            near.NoDelay = far.NoDelay = true;
            await far.ConnectAsync(IPAddress.Loopback, _target);
            // The end of one direction ends the connection: no client or server here sends to an end that has stopped.
            await await Task.WhenAny(PassAsync(near, far), PassAsync(far, near));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // One end has disconnected: disconnect the other too.
        }
    }

    private async Task PassAsync(Socket from, Socket to)
    {
        var line = Channel.CreateBounded<Piece>(
            new BoundedChannelOptions(MaxPieces) { SingleReader = true, SingleWriter = true });
        Task sending = SendAsync(line.Reader, to);
        try
        {
            while (true)
            {
                byte[] buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
                int count = await from.ReceiveAsync(buffer);
                await line.Writer.WriteAsync(new Piece(buffer, count, _delays.StartAsync()));
                if (count == 0) break;
            }
        }
        finally
        {
            line.Writer.Complete();
            await sending;
        }
    }

    private static async Task SendAsync(ChannelReader<Piece> line, Socket to)
    {
        await foreach (Piece piece in line.ReadAllAsync())
        {
            await piece.Due;
            if (piece.Count == 0) to.Shutdown(SocketShutdown.Send);
            for (int sent = 0; sent < piece.Count;)
                sent += await to.SendAsync(piece.Buffer.AsMemory(sent, piece.Count - sent));
            ArrayPool<byte>.Shared.Return(piece.Buffer);
        }
    }

    private readonly record struct Piece(byte[] Buffer, int Count, Task Due);
}
