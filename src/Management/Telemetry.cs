using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace UPool.Management;

/// <summary>
/// Exports metrics at <c>/metrics</c> and, if an endpoint is configured, metrics and traces over OTLP.
/// </summary>
public static class Telemetry
{
    /// <summary>OpenTelemetry's standard variable, which its exporter reads too.</summary>
    public const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private static readonly string[] Meters =
    [
        PooledDataSource.MeterName, "Microsoft.Orleans", "Microsoft.AspNetCore.Hosting",
        "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime",
    ];

    // The framework's spans of requests, Orleans' of grain calls, and the pool's. Not the driver's: they name the
    // account and quote the server's messages, which may hold values (INV-8).
    private static readonly string[] Sources =
        ["Microsoft.AspNetCore", "Microsoft.Orleans.Application", PooledDataSource.ActivitySourceName];

    /// <summary>
    /// Whether traces are exported. Orleans propagates them only if configured, at a cost per call, so a program checks
    /// this first.
    /// </summary>
    public static bool IsTraced(this IConfiguration configuration) =>
        !string.IsNullOrWhiteSpace(configuration[EndpointVariable]);

    internal static void AddTelemetry(this WebApplicationBuilder builder)
    {
        string name = builder.Environment.ApplicationName.ToLowerInvariant().Replace('.', '-');
        string? version = Assembly.GetEntryAssembly()?.GetName().Version?.ToString(3);
        bool isTraced = builder.Configuration.IsTraced();
        OpenTelemetryBuilder telemetry = builder.Services.AddOpenTelemetry()

            // Last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override the defaults.
            .ConfigureResource(resource => resource.AddService(name, serviceVersion: version)
                .AddEnvironmentVariableDetector())
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(Meters).AddPrometheusExporter();
                if (isTraced) metrics.AddOtlpExporter();
            });
        if (isTraced) telemetry.WithTracing(static traces => traces.AddSource(Sources).AddOtlpExporter());
    }
}
