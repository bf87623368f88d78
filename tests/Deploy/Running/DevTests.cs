using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using UPool.Deploy.Tests.Rolling;

namespace UPool.Deploy.Tests.Running;

/// <summary>The development manifests: their ports and paths, and a request that is one trace.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class DevTests(DevCluster dev) : IClassFixture<DevCluster>
{
    private const string Name = "Very Secret Name";

    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    [Fact]
    public Task Dev_SiloAndApi_HaveThePortsAndPathsOfTheManifests() => dev.RunAsync(1, 1, static async cluster =>
    {
        StandIn api = cluster.Apis.Pods[0];
        await Pods.AssertAsManifestSaysAsync(cluster.Silos.Pods[0]);
        await Pods.AssertAsManifestSaysAsync(api);
        await Pods.AssertServesUsersAsync(api);
    });

    // From the API's HTTP request through the silo's grain to the statement.
    [Fact]
    public Task Request_WithACollector_IsOneTraceFromHttpToStatementWithoutValues() =>
        dev.RunAsync(1, 1, TraceAsync);

    private async Task TraceAsync(Rolling.Cluster cluster)
    {
        Collector collector = dev.Collector;
        using var client = new HttpClient();
        ActivityTraceId trace = ActivityTraceId.CreateRandom();
        IPEndPoint api = cluster.Apis.Pods[0].EndPoint("http");
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{api}/user")
        {
            Content = JsonContent.Create(new { name = Name }),
            Headers = { { "traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01" } },
        };
        using HttpResponseMessage reply = await client.SendAsync(request);
        reply.EnsureSuccessStatusCode();

        // Wait for the whole trace: each process exports its spans in batches, and a parent ends after its children.
        Span[] spans = await UntilAsync(collector, trace, static all =>
            all.Any(span => span.Attributes.GetValueOrDefault("db.operation.name") == "INSERT"
                && Ancestors(span, all).Last().Name == "POST /user"));
        Span http = Assert.Single(spans, span => span.Name == "POST /user");
        Span insert = Assert.Single(spans, span => span.Attributes.GetValueOrDefault("db.operation.name") == "INSERT");
        Span[] way = [.. Ancestors(insert, spans)];

        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(" < ", way.Select(span => span.Name)));

        // One span on the caller's side of the grain call and one on the silo's.
        Assert.True(way.Length >= 3, string.Join(" < ", way.Select(span => span.Name)));
        Assert.Equal(http, way[^1]);
        Assert.Contains(way, span => span.Name.Contains("IUserGrain", StringComparison.Ordinal));
        Assert.Equal("mysql", insert.Attributes["db.system.name"]);
        Assert.Contains("tb1", insert.Attributes["db.query.text"], StringComparison.Ordinal);

        string raw;
        lock (collector.Raw) raw = collector.Raw.ToString();
        Assert.DoesNotContain(Name, raw, StringComparison.Ordinal);
        Assert.DoesNotContain(cluster.Database.Server.Password, raw, StringComparison.Ordinal);
        Assert.DoesNotContain("test-key", raw, StringComparison.Ordinal);
    }

    private static async Task<Span[]> UntilAsync(
        Collector collector, ActivityTraceId trace, Func<Span[], bool> isThere)
    {
        string id = trace.ToHexString().ToUpperInvariant();
        long startedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            Span[] spans = [.. collector.Spans.Where(span => span.TraceId == id)];
            if (isThere(spans)) return spans;

            Assert.True(
                Stopwatch.GetElapsedTime(startedAt) < Patient,
                $"Arrived: {string.Join("; ", spans.Select(span => span.Name))}");
            await Task.Delay(50);
        }
    }

    private static IEnumerable<Span> Ancestors(Span span, Span[] all)
    {
        for (Span? at = span; at is not null; at = all.FirstOrDefault(one => one.SpanId == at.ParentId))
            yield return at;
    }
}
