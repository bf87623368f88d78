using System.Net;
using System.Net.Sockets;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>
/// A proxy in front of pods: accepts connections and forwards them to the targets in turn, as a Service does. It never
/// retries and never moves a connection, so the client sees every error behind it.
/// </summary>
internal sealed class Proxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<IReadOnlyList<IPEndPoint>> _targets;
    private readonly Task _accepting;
    private uint _next;

    /// <param name="targets">Read for each new connection.</param>
    public Proxy(Func<IReadOnlyList<IPEndPoint>> targets)
    {
        _targets = targets;
        _listener.Start();
        EndPoint = (IPEndPoint)_listener.LocalEndpoint;
        _accepting = Task.Run(AcceptAsync);
    }

    public IPEndPoint EndPoint { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token));
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException)
        {
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using TcpClient front = client;
        using var back = new TcpClient();
        front.NoDelay = back.NoDelay = true;
        try
        {
            IReadOnlyList<IPEndPoint> targets = _targets();
            if (targets.Count == 0) return;

            uint turn = Interlocked.Increment(ref _next);
            await back.ConnectAsync(targets[(int)(turn % (uint)targets.Count)], _stop.Token);

            // The first close ends both directions: HTTP cannot use a half-open connection.
            await Task.WhenAny(
                front.GetStream().CopyToAsync(back.GetStream(), _stop.Token),
                back.GetStream().CopyToAsync(front.GetStream(), _stop.Token));
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
        {
            // The client sees its connection close.
        }
    }
}
