namespace UPool.Deploy.Tests.Running;

/// <summary>
/// Gives every stand-in its own address from 127.0.0.0/8, all of which is this machine's; so each can have exactly the
/// ports that its manifest names.
/// </summary>
internal static class PodNetwork
{
    // Random, because another run of these tests may be active on this machine.
    private static readonly string Prefix = $"127.{Random.Shared.Next(1, 255)}.{Random.Shared.Next(0, 256)}";

    private static int _last;

    /// <summary>The next address.</summary>
    public static string NextAddress()
    {
        int number = Interlocked.Increment(ref _last);
        return number < 255 ? $"{Prefix}.{number}" : throw new InvalidOperationException("bug: out of addresses.");
    }
}
