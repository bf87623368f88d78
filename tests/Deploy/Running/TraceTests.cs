using System.Diagnostics;
using System.Net.Http.Json;
using UPool.Deploy.Tests.Manifests;

namespace UPool.Deploy.Tests.Running;

/// <summary>A request is one trace, from the front's HTTP over the silo's grain to the statement.</summary>
[Collection(Alone.Name)]
public sealed class TraceTests
{
    private const string Name = "Very Secret Name";

    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Request_WithACollector_IsOneTraceFromHttpToStatementWithoutValues()
    {
        await using var collector = new Collector();
        var settings = new Dictionary<string, string?>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Url,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
        };
        Overlay overlay = await Overlay.RenderAsync("dev");
        await using Database database = await Database.StartAsync(overlay);
        await using StandIn silo = await StandIn.StartAsync(overlay, "upool-silo", database.Secret, settings);
        await using StandIn api = await StandIn.StartAsync(overlay, "upool-api", database.Secret, settings);
        foreach (StandIn pod in (StandIn[])[silo, api])
            await using (var kubelet = new Kubelet(pod)) await kubelet.WhenReady.WaitAsync(Patient);

        using var client = new HttpClient();
        ActivityTraceId trace = ActivityTraceId.CreateRandom();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{api.EndPoint("http")}/user")
        {
            Content = JsonContent.Create(new { name = Name }),
            Headers = { { "traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01" } },
        };
        using HttpResponseMessage reply = await client.SendAsync(request);
        reply.EnsureSuccessStatusCode();

        // The whole way: each process sends its spans in batches, and a parent ends after its children.
        Span[] spans = await UntilAsync(collector, trace, static all =>
            all.Any(span => span.Attributes.GetValueOrDefault("db.operation.name") == "INSERT"
                && Ancestors(span, all).Last().Name == "POST /user"));
        Span http = Assert.Single(spans, span => span.Name == "POST /user");
        Span insert = Assert.Single(spans, span => span.Attributes.GetValueOrDefault("db.operation.name") == "INSERT");
        Span[] way = [.. Ancestors(insert, spans)];

        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(" < ", way.Select(span => span.Name)));

        // A span for the call where it leaves, and one where it arrives.
        Assert.True(way.Length >= 3, string.Join(" < ", way.Select(span => span.Name)));
        Assert.Equal(http, way[^1]);
        Assert.Contains(way, span => span.Name.Contains("IUserGrain", StringComparison.Ordinal));
        Assert.Equal("mysql", insert.Attributes["db.system.name"]);
        Assert.Contains("tb1", insert.Attributes["db.query.text"], StringComparison.Ordinal);

        string raw;
        lock (collector.Raw) raw = collector.Raw.ToString();
        Assert.DoesNotContain(Name, raw, StringComparison.Ordinal);
        Assert.DoesNotContain(database.Server.Password, raw, StringComparison.Ordinal);
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
