using Microsoft.Extensions.Options;
using Orleans.Messaging;
using Orleans.Runtime.Membership;

namespace UPool.Cluster.Membership;

/// <summary>Where a client finds silos: the membership table, and no silo that has said that it leaves.</summary>
/// <remarks>
/// Orleans' client forgets what a leaving silo told it as soon as that is older than <see cref="MaxStaleness"/>, which
/// its own list equates with the pause between two readings of the table. The silo's row may still say Active then: of
/// several that change the table together one succeeds, and the others try again seconds later. The client would go
/// back to a silo that is about to close, and calls on their way at that moment would be lost.
/// </remarks>
internal sealed class GatewayList(AdoNetGatewayListProvider table, IOptions<UPoolClusterOptions> cluster)
    : IGatewayListProvider
{
    /// <summary>Clients find new silos within this, and forget those whose row says that they leave.</summary>
    public static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a silo is avoided that said it leaves, or that could not be reached, while its row says Active: as long
    /// as its stop may take. When no other is left it is asked all the same.
    /// </summary>
    public TimeSpan MaxStaleness => cluster.Value.ShutdownTimeout;

    [Obsolete("Orleans asks for it and does not use it.")]
    public bool IsUpdatable => true;

    public Task InitializeGatewayListProvider() => table.InitializeGatewayListProvider();

    public Task<IList<Uri>> GetGateways() => table.GetGateways();
}
