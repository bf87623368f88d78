using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace UPool.Testing;

/// <summary>Unused loopback ports.</summary>
public static class FreePort
{
    // Below the kernel's ephemeral range (from 32768), so that no outgoing connection takes a port while its server
    // restarts, and clear of Orleans' defaults (11111 and 30000).
    private const int First = 15_000;
    private const int End = 29_900;
    private const int MaxAttempts = 1_000;

    private static readonly ConcurrentDictionary<int, bool> Given = new();

    /// <summary>A port that is free now and that this process has not received before.</summary>
    /// <exception cref="InvalidOperationException">No free port was found.</exception>
    public static int Next()
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var port = Random.Shared.Next(First, End);
            if (IsFree(port) && Given.TryAdd(port, true))
            {
                return port;
            }
        }

        throw new InvalidOperationException($"No free port between {First} and {End} in {MaxAttempts} attempts.");
    }

    private static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
