using System.Security.Cryptography;
using System.Text;

namespace UPool.Cluster.Budget;

/// <summary>
/// Identifies the deployment of a process, and the incarnation of the process. It separates two deployments on one
/// server, even with one account: neither counts nor ends the other's sessions.
/// </summary>
/// <param name="clusterId"><c>UPool:Cluster:ClusterId</c>.</param>
/// <param name="serviceId"><c>UPool:Cluster:ServiceId</c>.</param>
internal sealed class DeploymentIdentity(string clusterId, string serviceId)
{
    // The digits used of the hash's 64 hexadecimal ones: enough that two deployments on one server never collide, few
    // enough to be read in the register.
    private const int HashLength = 16;

    /// <summary>The same for every process of the deployment.</summary>
    public string Deployment { get; } = Hash(clusterId, serviceId);

    /// <summary>Unique to this life of this process; the register of sessions holds it.</summary>
    public string Incarnation => field ??= $"{Deployment}:{Environment.MachineName switch
    {
        { Length: > 0 and <= 63 } name when name.All(IsPlain) => name,
        _ => "host",
    }}:{Environment.ProcessId}:{Guid.NewGuid():N}";

    /// <summary>
    /// The key of the deployment's coordinator. It contains letters that are not hexadecimal digits: grain storage
    /// stores a key that reads as a number as that number.
    /// </summary>
    public string CoordinatorKey => $"budget-of-{Deployment}";

    /// <summary>Whether an incarnation belongs to this deployment.</summary>
    public bool Owns(string incarnation) => incarnation.StartsWith(Deployment + ":", StringComparison.Ordinal);

    private static string Hash(string clusterId, string serviceId)
    {
        // The length in front keeps 'a' + 'bc' and 'ab' + 'c' apart.
        byte[] text = Encoding.UTF8.GetBytes($"{clusterId.Length}:{clusterId}{serviceId}");
        return Convert.ToHexStringLower(SHA256.HashData(text))[..HashLength];
    }

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_';
}
