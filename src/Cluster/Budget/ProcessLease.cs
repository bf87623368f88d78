using Microsoft.Extensions.Options;
using UPool.Hosting;

namespace UPool.Cluster.Budget;

/// <summary>This process in the budget of its deployment, when there is one.</summary>
internal sealed class ProcessLease(IOptions<BudgetOptions> options, DeploymentIdentity identity) : ILeaseKeeper
{
    public string? Incarnation => options.Value.IsOn ? identity.Incarnation : null;
}
