using Microsoft.Extensions.Options;
using UPool.Hosting;

namespace UPool.Cluster.Budget;

/// <summary>The incarnation of this process in its deployment's budget; none without a budget.</summary>
internal sealed class ProcessLease(IOptions<BudgetOptions> options, DeploymentIdentity identity) : ILeaseKeeper
{
    public string? Incarnation => options.Value.IsOn ? identity.Incarnation : null;
}
