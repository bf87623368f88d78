using Microsoft.Extensions.Options;
using Orleans.Configuration;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>The role of this process in a cluster.</summary>
internal sealed class ProcessRole(IOptions<ClusterOptions> cluster, bool isClient) : IProcessRole
{
    public string Name
    {
        get
        {
            string id = cluster.Value.ClusterId;
            string place = id == ClusterHostExtensions.LocalId ? "no cluster" : $"cluster '{id}'";
            return isClient ? $"a client of {place}" : $"a silo of {place}";
        }
    }
}
