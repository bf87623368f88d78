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
/// What a program says to monitoring systems: metrics at <c>/metrics</c> for whoever asks, and over OTLP metrics and
/// traces, once an endpoint is configured.
/// </summary>
public static class Telemetry
{
    /// <summary>The standard variable: OpenTelemetry's, read by its exporter too.</summary>
    public const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private static readonly string[] Meters =
    [
        PooledDataSource.MeterName, "Microsoft.Orleans", "Microsoft.AspNetCore.Hosting",
        "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime",
    ];

    // The first is the framework's, for a request; the second Orleans', for a call to a grain. Not the driver's own:
    // its spans name the account and quote the server's messages, which may hold values (INV-8).
    private static readonly string[] Sources =
        ["Microsoft.AspNetCore", "Microsoft.Orleans.Application", PooledDataSource.ActivitySourceName];

    /// <summary>
    /// Whether traces go anywhere. Orleans carries them along only when it is told to, at some cost for each call, so
    /// whoever composes the program asks here first.
    /// </summary>
    public static bool IsTraced(this IConfiguration configuration) =>
        !string.IsNullOrWhiteSpace(configuration[EndpointVariable]);

    internal static void AddTelemetry(this WebApplicationBuilder builder)
    {
        string name = builder.Environment.ApplicationName.ToLowerInvariant().Replace('.', '-');
        string? version = Assembly.GetEntryAssembly()?.GetName().Version?.ToString(3);
        bool isTraced = builder.Configuration.IsTraced();
        OpenTelemetryBuilder telemetry = builder.Services.AddOpenTelemetry()

            // What the operator says in OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES comes last, and holds.
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
