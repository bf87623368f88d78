using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using UPool.Api.Tests.Hosts;

namespace UPool.Api.Tests.Management;

/// <summary>A program's telemetry about its requests, and the data that it must not contain.</summary>
public sealed class TelemetryTests
{
    [Fact]
    public async Task Metrics_OfRequests_CountTheApplicationsOwnAlone()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);
        await host.Client.CallAsync("GET", "/user/7");
        await host.Client.CallAsync("GET", "/health/ready");
        await host.Management.CallAsync("GET", "/upool/pool");
        await host.Management.CallAsync("GET", "/metrics");

        Seen seen = await host.Management.CallAsync("GET", "/metrics");

        Assert.Equal(200, seen.Status);
        Assert.StartsWith("text/plain", seen.Header("Content-Type"), StringComparison.Ordinal);
        string[] requests = [.. seen.Body.Split('\n')
            .Where(line => line.StartsWith("http_server_request_duration_seconds_count{", StringComparison.Ordinal))];

        // The hosts of other tests use the same meters with their own requests.
        Assert.Contains(requests, line => line.Contains("http_route=\"/user/{id}\"", StringComparison.Ordinal));
        Assert.DoesNotContain(requests, line => line.Contains("/health", StringComparison.Ordinal));
        Assert.DoesNotContain(requests, line => line.Contains("/upool", StringComparison.Ordinal));
        Assert.DoesNotContain(requests, line => line.Contains("/metrics", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Trace_OfARequest_NamesItsRouteAndNoValue()
    {
        using var spans = new Spans();
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);

        await host.Client.CallAsync("GET", "/user/4711?secret=4711", headers: spans.Header);

        Activity span = await spans.OneAsync();
        Assert.Equal("GET /user/{id}", span.DisplayName);
        Assert.Equal(
            ("GET", "/user/{id}", 404),
            (span.GetTagItem("http.request.method"), span.GetTagItem("http.route"),
                span.GetTagItem("http.response.status_code")));
        Assert.DoesNotContain(span.TagObjects, tag => $"{tag.Value}".Contains("4711", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Trace_OfHealthAndManagement_IsNotRecorded()
    {
        using var spans = new Spans();
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);

        await host.Client.CallAsync("GET", "/health/ready", headers: spans.Header);

        Assert.False((await spans.OneAsync()).Recorded);
    }

    [Fact]
    public async Task Stopping_BeforeTheServerCloses_SendsClientsElsewhere()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);
        Assert.Null((await host.Client.CallAsync("GET", "/")).Header("Connection"));

        // The effect of the signal; the server goes on for UPool:Shutdown:Delay.
        host.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();

        foreach (string path in (string[])["/", "/user/list", "/nothing", "/health/ready"])
            Assert.Equal("close", (await host.Client.CallAsync("GET", path)).Header("Connection"));
    }

    /// <summary>The spans of requests with this trace id; other tests run at the same time.</summary>
    private sealed class Spans : IDisposable
    {
        private readonly ActivityTraceId _trace = ActivityTraceId.CreateRandom();
        private readonly ConcurrentQueue<Activity> _ended = new();
        private readonly SemaphoreSlim _arrived = new(0);
        private readonly ActivityListener _listener;

        public Spans()
        {
            _listener = new ActivityListener
            {
                ShouldListenTo = static source => source.Name == "Microsoft.AspNetCore",
                Sample = static (ref ActivityCreationOptions<ActivityContext> _) =>
                    ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = span =>
                {
                    if (span.TraceId != _trace) return;

                    _ended.Enqueue(span);
                    _arrived.Release();
                },
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public (string, string) Header => ("traceparent", $"00-{_trace}-{ActivitySpanId.CreateRandom()}-01");

        public async Task<Activity> OneAsync()
        {
            Assert.True(await _arrived.WaitAsync(Patience.Long), "No span ended.");
            return Assert.Single(_ended);
        }

        public void Dispose() => _listener.Dispose();
    }
}
