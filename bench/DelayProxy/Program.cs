// A proxy that adds latency to a server on this machine: DelayProxy <port of the server> <microseconds each way>.
// Prints its port and runs until it is killed.
using System.Globalization;

using UPool.Bench.DelayProxy;

if (args.Length != 2
    || !int.TryParse(args[0], NumberStyles.None, CultureInfo.InvariantCulture, out int target)
    || !int.TryParse(args[1], NumberStyles.None, CultureInfo.InvariantCulture, out int microseconds))
{
    await Console.Error.WriteLineAsync("usage: DelayProxy <port of the server> <microseconds each way>");
    return 2;
}

using var proxy = new Proxy(target, TimeSpan.FromMicroseconds(microseconds));
Console.WriteLine($"listening on port {proxy.Port}");
await proxy.RunAsync();
return 0;
