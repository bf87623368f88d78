using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Hosting;

namespace UPool.Management;

/// <summary>An address to listen on and the setting that it comes from.</summary>
internal sealed record ListenAddress(string Key, string Url);

/// <summary>
/// Binds the addresses once before any service starts. Server and silo start concurrently, so that health answers while
/// a silo joins. Without this check an occupied port would be reported only after the silo has joined a cluster that it
/// must leave at once, or, while a process waits for its database, not at all.
/// </summary>
internal sealed class ListenCheck(IServer server, IEnumerable<ListenAddress> addresses) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        // Other servers (in memory, for tests) do not listen.
        if (server.GetType().Assembly != typeof(KestrelServerOptions).Assembly) return Task.CompletedTask;

        foreach ((string key, string url) in addresses)
        {
            if (Problem(url) is { } problem)
                throw new InvalidOperationException($"Cannot listen on {url}: {problem}. It comes from {key}.");
        }

        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static string? Problem(string url)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(url);
        }
        catch (FormatException)
        {
            return "it is not a URL";
        }

        if (address.IsUnixPipe || address.IsNamedPipe) return null;
        if (address.Port is < 0 or > IPEndPoint.MaxPort) return $"a port is at most {IPEndPoint.MaxPort}";
        if (address.Port == 0) return null;

        // Kestrel's rule: a name other than localhost means every address.
        IPAddress ip = IPAddress.TryParse(address.Host, out IPAddress? parsed) ? parsed
            : address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) ? IPAddress.Loopback
            : IPAddress.Any;
        using var socket = new Socket(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(ip, address.Port));
            socket.Listen(1);
            return null;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.AddressAlreadyInUse
                ? "another process listens there"
                : e.Message.ToLowerInvariant();
        }
    }
}
