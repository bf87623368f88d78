using UPool.Hosting;

namespace UPool.Api.Tests.Hosts;

/// <summary>A process status that the test sets.</summary>
internal sealed class FakeStatus : IProcessStatus
{
    public bool IsStarted { get; set; } = true;

    public bool IsStopping { get; set; }

    public PoolHealth Health { get; set; } = new(true, null);
}
