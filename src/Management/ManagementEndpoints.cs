using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using UPool.Hosting;

namespace UPool.Management;

/// <summary>The routes that Api and Silo share: health and management.</summary>
public static class ManagementEndpoints
{
    private static readonly string[] Get = [HttpMethods.Get, HttpMethods.Head];

    /// <summary>
    /// Puts the framework's replies into the envelope and guards the management routes. Must be the first middleware.
    /// </summary>
    public static IApplicationBuilder UseUPoolManagement(this IApplicationBuilder app) => app
        .UseMiddleware<EnvelopeMiddleware>()
        .UseRouting()
        .UseMiddleware<ManagementAccess>();

    /// <summary>
    /// Maps <c>/health/startup</c>, <c>/health/live</c>, <c>/health/ready</c>, <c>/upool/pool</c> and <c>/metrics</c>.
    /// </summary>
    public static IEndpointRouteBuilder MapUPoolManagement(this IEndpointRouteBuilder endpoints)
    {
        Describe(endpoints.MapMethods("/health/startup", Get, StartupAsync), "Startup",
            "Whether the process has started: its silo is active or its client connected.",
            typeof(Envelope<HealthReport>), StatusCodes.Status200OK, StatusCodes.Status503ServiceUnavailable);
        Describe(endpoints.MapMethods("/health/live", Get, LiveAsync), "Live",
            "Whether the process answers; depends on nothing else.", typeof(Envelope),
            StatusCodes.Status200OK);
        Describe(endpoints.MapMethods("/health/ready", Get, ReadyAsync), "Ready",
            "Whether to send requests here: started and not stopping. Does not depend on the database; data.problem "
            + "names the problem.", typeof(Envelope<HealthReport>),
            StatusCodes.Status200OK, StatusCodes.Status503ServiceUnavailable);
        Describe(endpoints.MapMethods("/upool/pool", Get, PoolAsync), "Pool",
            "The pools of the whole cluster at this moment, one entry for each silo, or the process's own. For "
            + "operators: see UPool:Management:Key.", typeof(Envelope<PoolsReport>), StatusCodes.Status200OK,
            StatusCodes.Status401Unauthorized, StatusCodes.Status403Forbidden, StatusCodes.Status404NotFound,
            StatusCodes.Status503ServiceUnavailable);
        endpoints.MapPrometheusScrapingEndpoint("/metrics").DisableHttpMetrics();
        return endpoints;
    }

    private static Task StartupAsync(HttpContext context)
    {
        HealthReport health = ReadHealth(context);
        return WriteHealthAsync(context, health, health.Started, health.Started ? "started" : "starting");
    }

    private static Task LiveAsync(HttpContext context) =>
        EnvelopeResponse.WriteAsync(context, StatusCodes.Status200OK, "live");

    // Independent of the database: otherwise a proxy would drop every process at once, and clients would lose the
    // clear refusals too.
    private static Task ReadyAsync(HttpContext context)
    {
        HealthReport health = ReadHealth(context);
        return WriteHealthAsync(context, health, health.Started && !health.Stopping,
            health.Stopping ? "stopping" : health.Started ? "ready" : "starting");
    }

    private static async Task PoolAsync(HttpContext context)
    {
        if (await ReadPoolsAsync(context.RequestServices) is not { } pools)
        {
            await EnvelopeResponse.WriteAsync(context, StatusCodes.Status404NotFound, "this process has no pool");
            return;
        }

        // A partial report is better than none: without the cluster it shows the process's own pool.
        bool isThere = pools.Silos.Count > 0;
        await EnvelopeResponse.WriteAsync(
            context,
            isThere ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable,
            new Envelope<PoolsReport>(isThere ? 1 : 0, isThere ? "ok" : "error", pools),
            ManagementJson.Default.EnvelopePoolsReport);
    }

    private static async Task<PoolsReport?> ReadPoolsAsync(IServiceProvider services)
    {
        if (services.GetService<IPoolsReader>() is { } cluster) return await cluster.ReadAsync();
        if (services.GetService<PooledDataSource>() is not { } pool) return null;

        string? problem = services.GetRequiredService<IProcessStatus>().Health.Problem;
        return new PoolsReport(null, [PoolReport.OfThisProcess(pool, problem)], null);
    }

    private static HealthReport ReadHealth(HttpContext context)
    {
        var status = context.RequestServices.GetRequiredService<IProcessStatus>();
        return new HealthReport(status.IsStarted, status.IsStopping, status.Health.Problem);
    }

    private static Task WriteHealthAsync(HttpContext context, HealthReport health, bool isWell, string message) =>
        EnvelopeResponse.WriteAsync(
            context,
            isWell ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable,
            new Envelope<HealthReport>(isWell ? 1 : 0, message, health),
            ManagementJson.Default.EnvelopeHealthReport);

    /// <summary>
    /// Includes a plain handler in the OpenAPI document, which is generated from handler methods and would otherwise
    /// leave it out.
    /// </summary>
    public static TBuilder WithHandlerDescribed<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder
    {
        endpoint.Add(static builder => builder.Metadata.Add(
            typeof(ManagementEndpoints).GetMethod(nameof(Described), BindingFlags.NonPublic | BindingFlags.Static)!));
        return endpoint;
    }

    // Stands in for every handler: no parameters and no result that the document would describe.
    private static void Described()
    {
    }

    // Adds the metadata for the OpenAPI document.
    private static void Describe(
        IEndpointConventionBuilder endpoint, string name, string summary, Type okType, params int[] statuses)
    {
        endpoint.WithHandlerDescribed();

        // Probes call these routes every second: their requests would distort the application's metrics.
        endpoint.DisableHttpMetrics();
        endpoint.WithMetadata(
            new EndpointNameMetadata(name), new EndpointSummaryAttribute(summary), new TagsAttribute("operators"));
        foreach (int status in statuses)
        {
            // A 503 has the same body as a 200.
            Type type = status is StatusCodes.Status200OK or StatusCodes.Status503ServiceUnavailable
                ? okType
                : typeof(Envelope);
            endpoint.WithMetadata(new ProducesResponseTypeMetadata(status, type, ["application/json"]));
        }
    }
}
