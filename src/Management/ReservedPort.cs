using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace UPool.Management;

/// <summary>
/// A free port, bound from the moment it is chosen until the server listens on it. A port that is only looked up may be
/// taken by an outgoing connection of any process before the server binds it.
/// </summary>
internal sealed class ReservedPort : IDisposable
{
    private Socket? _socket;

    public ReservedPort(IPAddress address)
    {
        _socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _socket.Bind(new IPEndPoint(address, 0));

        // A second socket could be bound to the port until this one listens. The server calls Listen again, with its
        // own backlog.
        _socket.Listen();
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
    }

    /// <summary>The port.</summary>
    public int Port { get; }

    /// <summary>Lets the server take over the bound socket when it binds this port; other ports as before.</summary>
    public void HandOver(SocketTransportOptions options)
    {
        Func<EndPoint, Socket> bind = options.CreateBoundListenSocket;
        options.CreateBoundListenSocket = endPoint =>
            (endPoint as IPEndPoint)?.Port == Port && Interlocked.Exchange(ref _socket, null) is { } socket
                ? socket
                : bind(endPoint);
    }

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _socket, null)?.Dispose();
}
