using k8s.Models;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>No pod requests more rights than it needs; the namespace would reject such a pod.</summary>
public sealed class SecurityTests
{
    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Pods_EveryOne_IsRestricted(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Assert.NotEmpty(overlay.Pods);
        Findings.AssertNone("pods with more rights than they need", overlay.Pods.SelectMany(Excesses));
        Assert.Equal(
            "restricted",
            overlay.One<V1Namespace>("upool").Metadata.Labels["pod-security.kubernetes.io/enforce"]);
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Pods_EveryOne_SaysWhatItNeedsAndHasNoLimitOfCpu(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Findings.AssertNone(
            "pods without requests or a limit of memory, or with a limit of CPU",
            from pod in overlay.Pods
            let resources = pod.Container.Resources
            where resources?.Requests?.ContainsKey("cpu") != true || !resources.Requests.ContainsKey("memory")
                || resources.Limits?.ContainsKey("memory") != true || resources.Limits.ContainsKey("cpu")
                || resources.Limits["memory"].ToDouble() < resources.Requests["memory"].ToDouble()
            select pod.Workload);
    }

    [Fact]
    public async Task Production_NoSecret_StandsInIt() =>
        Assert.Empty((await Overlay.RenderAsync("production")).All<V1Secret>());

    private static IEnumerable<string> Excesses(PodTemplate pod)
    {
        V1PodSpec spec = pod.Spec;
        V1SecurityContext container = pod.Container.SecurityContext;
        var rules = new (string What, bool Holds)[]
        {
            ("may be root", spec.SecurityContext is { RunAsNonRoot: true, RunAsUser: > 0, RunAsGroup: > 0 }),
            ("has no seccomp profile", spec.SecurityContext?.SeccompProfile?.Type == "RuntimeDefault"),
            ("may escalate", container?.AllowPrivilegeEscalation == false),
            ("writes its root", container?.ReadOnlyRootFilesystem == true),
            ("keeps capabilities", container?.Capabilities is { Drop: ["ALL"], Add: null }),
            ("is privileged", container?.Privileged != true),
            ("has a token of the API server", spec.AutomountServiceAccountToken == false),
            ("gets variables of Services", spec.EnableServiceLinks == false),
            ("shares the node", spec.HostNetwork != true && spec.HostPID != true && spec.HostIPC != true),
            ("mounts the node's disk", (spec.Volumes ?? []).All(volume => volume.HostPath is null)),
        };
        return rules.Where(rule => !rule.Holds).Select(rule => $"{pod.Workload} {rule.What}");
    }
}
