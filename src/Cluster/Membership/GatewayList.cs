using Microsoft.Extensions.Options;
using Orleans.Messaging;
using Orleans.Runtime.Membership;

namespace UPool.Cluster.Membership;

/// <summary>The silos that a client may connect to: those of the membership table, except those that have announced
/// their stop.</summary>
/// <remarks>
/// Orleans' client forgets the announcement of a leaving silo once it is older than <see cref="MaxStaleness"/>, which
/// Orleans' own list sets to the interval between two reads of the table. The silo's row may still be Active then: of
/// several silos that change the table together one succeeds, and the others try again seconds later. The client would
/// go back to a silo that is about to close, and calls in flight at that moment would be lost.
/// </remarks>
internal sealed class GatewayList(AdoNetGatewayListProvider table, IOptions<UPoolClusterOptions> cluster)
    : IGatewayListProvider
{
    /// <summary>Clients find new silos within this, and forget those whose row shows that they leave.</summary>
    public static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a client avoids a silo that announced its stop, or that could not be reached, while its row is Active:
    /// as long as the stop may take. If no other is left, it is used all the same.
    /// </summary>
    public TimeSpan MaxStaleness => cluster.Value.ShutdownTimeout;

    [Obsolete("Orleans asks for it and does not use it.")]
    public bool IsUpdatable => true;

    public Task InitializeGatewayListProvider() => table.InitializeGatewayListProvider();

    public Task<IList<Uri>> GetGateways() => table.GetGateways();
}
