using Orleans.GrainDirectory;

namespace UPool.Cluster.Workers;

/// <summary>
/// The directory of grains that need none. A stateless worker lives wherever it is called, but Orleans still looks it
/// up on a cache miss, possibly on another silo; if that silo is dead the call fails. This directory asks no silo.
/// </summary>
internal sealed class NoGrainDirectory : IGrainDirectory
{
    /// <summary>The name by which a grain class selects it.</summary>
    public const string Name = "none";

    public Task<GrainAddress?> Register(GrainAddress address) => Task.FromResult<GrainAddress?>(address);

    public Task Unregister(GrainAddress address) => Task.CompletedTask;

    public Task<GrainAddress?> Lookup(GrainId grainId) => Task.FromResult<GrainAddress?>(null);

    public Task UnregisterSilos(List<SiloAddress> siloAddresses) => Task.CompletedTask;
}
