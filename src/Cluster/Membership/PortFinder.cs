using System.Net;
using System.Net.Sockets;

namespace UPool.Cluster.Membership;

/// <summary>Finds free ports for a silo, so that several on one machine need no configuration.</summary>
internal static class PortFinder
{
    // Below the range from which systems take the ports of outgoing connections (Linux 32768, Windows 49152): such a
    // connection could otherwise take a port between this check and the silo's own bind.
    private const int First = 20_000;
    private const int End = 32_000;
    private const int MaxAttempts = 1_000;

    /// <summary>A port that is free on an address.</summary>
    /// <param name="address">The address.</param>
    /// <param name="taken">A port that is already chosen although no process listens on it yet.</param>
    public static int Find(IPAddress address, int? taken = null)
    {
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            int port = Random.Shared.Next(First, End);
            if (port != taken && IsFree(address, port)) return port;
        }

        throw new InvalidOperationException(
            $"No free port from {First} to {End} on {address} in {MaxAttempts} attempts: set "
            + $"{UPoolClusterOptions.Section}:{nameof(UPoolClusterOptions.SiloPort)} and "
            + $"{nameof(UPoolClusterOptions.GatewayPort)}.");
    }

    private static bool IsFree(IPAddress address, int port)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.ExclusiveAddressUse = true;
        try
        {
            socket.Bind(new IPEndPoint(address, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
