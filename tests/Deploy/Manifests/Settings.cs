using System.Globalization;
using k8s.Models;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>The environment of a pod's container, assembled as Kubernetes does.</summary>
internal static class Settings
{
    /// <summary>The names of the variables, from every source.</summary>
    public static IEnumerable<string> KeysOf(Overlay overlay, PodTemplate pod) =>
        FromMaps(overlay, pod).Keys.Concat((pod.Container.Env ?? []).Select(one => one.Name)).Distinct();

    /// <summary>The variables with their values; as in Kubernetes, later ones override earlier ones.</summary>
    /// <param name="overlay">The overlay with the pod's ConfigMaps.</param>
    /// <param name="pod">The pod.</param>
    /// <param name="address">The pod's address.</param>
    /// <param name="secret">The values of Secrets, by name and key.</param>
    public static Dictionary<string, string?> Of(
        Overlay overlay, PodTemplate pod, string address, Func<string, string, string> secret)
    {
        Dictionary<string, string?> all = FromMaps(overlay, pod);
        foreach (V1EnvVar one in pod.Container.Env ?? [])
        {
            all[one.Name] = one.ValueFrom switch
            {
                null => one.Value,
                { FieldRef.FieldPath: "status.podIP" } => address,
                { SecretKeyRef: { } reference } => secret(reference.Name, reference.Key),
                _ => throw new NotSupportedException($"{pod.Workload}: {one.Name} comes from an unsupported source."),
            };
        }

        return all;
    }

    /// <summary>A time from a pod's plain settings, or the program's default.</summary>
    public static TimeSpan TimeOf(Overlay overlay, PodTemplate pod, string variable, TimeSpan defaultTime) =>
        FromMaps(overlay, pod).TryGetValue(variable, out string? text)
            ? TimeSpan.Parse(text!, CultureInfo.InvariantCulture)
            : defaultTime;

    /// <summary>A number from a pod's plain settings.</summary>
    public static int NumberOf(Overlay overlay, PodTemplate pod, string variable) =>
        int.Parse(FromMaps(overlay, pod)[variable]!, CultureInfo.InvariantCulture);

    private static Dictionary<string, string?> FromMaps(Overlay overlay, PodTemplate pod)
    {
        var all = new Dictionary<string, string?>();
        foreach (V1EnvFromSource from in pod.Container.EnvFrom ?? [])
        {
            foreach ((string key, string value) in overlay.One<V1ConfigMap>(from.ConfigMapRef.Name).Data)
                all[key] = value;
        }

        return all;
    }
}
