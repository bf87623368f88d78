using UPool.Deploy.Tests.Rolling;

using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(UPool.Deploy.Tests.Running.LongestFirst))]

namespace UPool.Deploy.Tests.Running;

/// <summary>Starts the two long collections first; the short ones run beside them.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long = [nameof(ProductionCluster), nameof(CohostedCluster)];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(
        IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [
            .. testCollections.OrderBy(
                one => Array.IndexOf(Long, one.TestCollectionDisplayName) switch { < 0 => Long.Length, var at => at }),
        ];
}
