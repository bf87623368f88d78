using System.Text.Json.Serialization;
using k8s;
using k8s.Models;

namespace UPool.Deploy.Tests.Manifests;

// Kinds that the Kubernetes client lacks, with the fields that these manifests use; the reader rejects any other field.

/// <summary>A scrape target of the Prometheus operator.</summary>
internal sealed class ServiceMonitor : IKubernetesObject<V1ObjectMeta>
{
    public string ApiVersion { get; set; } = "";

    public string Kind { get; set; } = "";

    public V1ObjectMeta Metadata { get; set; } = new();

    public ServiceMonitorSpec Spec { get; set; } = new();
}

internal sealed class ServiceMonitorSpec
{
    public V1LabelSelector Selector { get; set; } = new();

    public List<MonitorEndpoint> Endpoints { get; set; } = [];
}

internal sealed class MonitorEndpoint
{
    public string Port { get; set; } = "";

    public string Path { get; set; } = "";

    public string Interval { get; set; } = "";

    public string ScrapeTimeout { get; set; } = "";

    public MonitorAuthorization Authorization { get; set; } = new();
}

internal sealed class MonitorAuthorization
{
    public string Type { get; set; } = "";

    public V1SecretKeySelector Credentials { get; set; } = new();
}

/// <summary>Alerts of the Prometheus operator.</summary>
internal sealed class PrometheusRule : IKubernetesObject<V1ObjectMeta>
{
    public string ApiVersion { get; set; } = "";

    public string Kind { get; set; } = "";

    public V1ObjectMeta Metadata { get; set; } = new();

    public PrometheusRuleSpec Spec { get; set; } = new();
}

internal sealed class PrometheusRuleSpec
{
    public List<RuleGroup> Groups { get; set; } = [];
}

internal sealed class RuleGroup
{
    public string Name { get; set; } = "";

    public List<AlertRule> Rules { get; set; } = [];
}

internal sealed class AlertRule
{
    public string Alert { get; set; } = "";

    public string Expr { get; set; } = "";

    public string For { get; set; } = "";

    public Dictionary<string, string> Labels { get; set; } = [];

    public Dictionary<string, string> Annotations { get; set; } = [];
}

/// <summary>A panel of a Grafana dashboard, with the fields that the tests read.</summary>
internal sealed record Panel(
    [property: JsonPropertyName("title")] string Title, [property: JsonPropertyName("targets")] Target[] Targets);

/// <summary>A query of a panel.</summary>
internal sealed record Target([property: JsonPropertyName("expr")] string Expr);

/// <summary>A Grafana dashboard, with the fields that the tests read.</summary>
internal sealed record Dashboard([property: JsonPropertyName("panels")] Panel[] Panels);
