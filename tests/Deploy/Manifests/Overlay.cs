using System.Collections.Concurrent;
using k8s;
using k8s.Models;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>A rendered overlay, parsed into types; an unknown field is rejected.</summary>
internal sealed class Overlay
{
    /// <summary>The folder of the overlays.</summary>
    public const string Folder = "deploy/k8s/overlays";

    private static readonly Dictionary<string, Type> Types = new()
    {
        ["v1/ConfigMap"] = typeof(V1ConfigMap),
        ["v1/Namespace"] = typeof(V1Namespace),
        ["v1/Secret"] = typeof(V1Secret),
        ["v1/Service"] = typeof(V1Service),
        ["v1/ServiceAccount"] = typeof(V1ServiceAccount),
        ["apps/v1/Deployment"] = typeof(V1Deployment),
        ["apps/v1/StatefulSet"] = typeof(V1StatefulSet),
        ["autoscaling/v2/HorizontalPodAutoscaler"] = typeof(V2HorizontalPodAutoscaler),
        ["batch/v1/Job"] = typeof(V1Job),
        ["networking.k8s.io/v1/NetworkPolicy"] = typeof(V1NetworkPolicy),
        ["policy/v1/PodDisruptionBudget"] = typeof(V1PodDisruptionBudget),
        ["monitoring.coreos.com/v1/ServiceMonitor"] = typeof(ServiceMonitor),
        ["monitoring.coreos.com/v1/PrometheusRule"] = typeof(PrometheusRule),
    };

    private static readonly ConcurrentDictionary<string, Lazy<Task<Overlay>>> Rendered = new();

    private Overlay(string name, IReadOnlyList<IKubernetesObject<V1ObjectMeta>> objects)
    {
        Name = name;
        Objects = objects;
        Pods = [.. objects.Select(PodOf).OfType<PodTemplate>()];
    }

    /// <summary>The name of the overlay's folder.</summary>
    public string Name { get; }

    /// <summary>All objects of the overlay.</summary>
    public IReadOnlyList<IKubernetesObject<V1ObjectMeta>> Objects { get; }

    /// <summary>The pods of the overlay's workloads.</summary>
    public IReadOnlyList<PodTemplate> Pods { get; }

    /// <summary>Renders and parses an overlay, once for all callers.</summary>
    public static Task<Overlay> RenderAsync(string name) =>
        Rendered.GetOrAdd(name, static key => new Lazy<Task<Overlay>>(async () =>
            new Overlay(key, Read(await Kubectl.KustomizeAsync($"{Folder}/{key}"))))).Value;

    /// <summary>Parses manifests strictly.</summary>
    /// <exception cref="Exception">An unknown kind or field; the parser's own exception types.</exception>
    public static IReadOnlyList<IKubernetesObject<V1ObjectMeta>> Read(string yaml) =>
        [.. KubernetesYaml.LoadAllFromString(yaml, Types, strict: true).Cast<IKubernetesObject<V1ObjectMeta>>()];

    /// <summary>All objects of a kind.</summary>
    public IEnumerable<T> All<T>() => Objects.OfType<T>();

    /// <summary>The object of a kind with a name.</summary>
    /// <exception cref="InvalidOperationException">No such object.</exception>
    public T One<T>(string name)
        where T : IKubernetesObject<V1ObjectMeta> =>
        All<T>().SingleOrDefault(one => one.Metadata.Name == name)
            ?? throw new InvalidOperationException($"{Name} has no {typeof(T).Name} '{name}'.");

    /// <summary>The pod of a workload.</summary>
    public PodTemplate Pod(string workload) =>
        Pods.SingleOrDefault(pod => pod.Workload == workload)
            ?? throw new InvalidOperationException($"{Name} has no workload '{workload}'.");

    /// <summary>The pods that a selector matches.</summary>
    public IEnumerable<PodTemplate> Select(IDictionary<string, string>? labels) =>
        Pods.Where(pod => (labels ?? new Dictionary<string, string>()).All(pod.Labels.Contains));

    private static PodTemplate? PodOf(IKubernetesObject<V1ObjectMeta> one) => one switch
    {
        V1Deployment deployment => new PodTemplate(deployment.Metadata.Name, deployment.Spec.Template),
        V1StatefulSet set => new PodTemplate(set.Metadata.Name, set.Spec.Template),
        V1Job job => new PodTemplate(job.Metadata.Name, job.Spec.Template),
        _ => null,
    };
}

/// <summary>The pod template of a workload.</summary>
internal sealed record PodTemplate(string Workload, V1PodTemplateSpec Template)
{
    public V1PodSpec Spec => Template.Spec;

    public IDictionary<string, string> Labels => Template.Metadata.Labels;

    /// <summary>The pod's only container.</summary>
    public V1Container Container => Assert.Single(Spec.Containers);

    /// <summary>The number of a port by its name or number.</summary>
    public int? PortOf(IntOrString port)
    {
        string text = port.Value;
        return int.TryParse(text, out int number)
            ? Container.Ports?.FirstOrDefault(one => one.ContainerPort == number)?.ContainerPort
            : Container.Ports?.FirstOrDefault(one => one.Name == text)?.ContainerPort;
    }
}
