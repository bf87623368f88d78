using System.Security.Cryptography;
using System.Text;

namespace UPool.Cluster.Budget;

/// <summary>
/// Which deployment a process belongs to, and which life of the process it is. Two deployments on one server, even with
/// one account, are told apart by it: neither counts nor ends the other's sessions.
/// </summary>
/// <param name="clusterId"><c>UPool:Cluster:ClusterId</c>.</param>
/// <param name="serviceId"><c>UPool:Cluster:ServiceId</c>.</param>
internal sealed class DeploymentIdentity(string clusterId, string serviceId)
{
    // Of the hash's 64 hexadecimal digits: enough that two deployments on one server never meet, short enough to be
    // read in the register.
    private const int HashLength = 16;

    /// <summary>The same for every process of the deployment.</summary>
    public string Deployment { get; } = Hash(clusterId, serviceId);

    /// <summary>Of this life of this process alone, as the register of sessions has it.</summary>
    public string Incarnation => field ??= $"{Deployment}:{Environment.MachineName switch
    {
        { Length: > 0 and <= 63 } name when name.All(IsPlain) => name,
        _ => "host",
    }}:{Environment.ProcessId}:{Guid.NewGuid():N}";

    /// <summary>
    /// The key of the deployment's coordinator. Text, and with letters that are no hexadecimal digits: grain storage
    /// takes a key that reads as a number for that number.
    /// </summary>
    public string CoordinatorKey => $"budget-of-{Deployment}";

    /// <summary>Whether an incarnation is of this deployment.</summary>
    public bool Owns(string incarnation) => incarnation.StartsWith(Deployment + ":", StringComparison.Ordinal);

    private static string Hash(string clusterId, string serviceId)
    {
        // The length in front: 'a' + 'bc' and 'ab' + 'c' are two deployments.
        byte[] text = Encoding.UTF8.GetBytes($"{clusterId.Length}:{clusterId}{serviceId}");
        return Convert.ToHexStringLower(SHA256.HashData(text))[..HashLength];
    }

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_';
}
