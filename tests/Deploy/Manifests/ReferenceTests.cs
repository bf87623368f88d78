using k8s.Models;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>References between objects are correct; Kubernetes accepts wrong ones silently.</summary>
public sealed class ReferenceTests
{
    // The operator of production creates these by hand; see docs/operating/deploying.md.
    private static readonly string[] ByHand = ["upool-database", "upool-database-ca", "upool-management"];

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Selectors_EveryOne_FindsPods(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Findings.AssertNone("selectors that find no pod of their own", WorkloadSelectors(overlay)
            .Where(one => !overlay.Select(one.Labels).Any(pod => one.Workload is null || pod.Workload == one.Workload))
            .Select(one => one.Place));

        // A selector that also matched another workload's pods would take them over, or count them.
        Findings.AssertNone("selectors that find pods of several workloads", WorkloadSelectors(overlay)
            .Where(one => overlay.Select(one.Labels).Count() != 1)
            .Select(one => one.Place));
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Services_EveryPort_IsOneOfThePods(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Assert.NotEmpty(overlay.All<V1Service>());
        Findings.AssertNone(
            "ports of Services that no pod has",
            from service in overlay.All<V1Service>()
            from port in service.Spec.Ports
            from pod in overlay.Select(service.Spec.Selector)
            where pod.PortOf(port.TargetPort) is null
            select $"{service.Metadata.Name}: {port.TargetPort.Value} of {pod.Workload}");
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task NetworkPolicies_EveryPortByName_IsOneOfThePodsBehindIt(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        var found = new List<string>();
        foreach (V1NetworkPolicy policy in overlay.All<V1NetworkPolicy>())
        {
            PodTemplate[] own = [.. overlay.Select(policy.Spec.PodSelector?.MatchLabels)];
            if (own.Length == 0) found.Add($"{policy.Metadata.Name} selects no pod");
            foreach (V1NetworkPolicyIngressRule rule in policy.Spec.Ingress ?? [])
            {
                found.AddRange(Missing(policy, rule.Ports, own));
                found.AddRange(Strangers(policy, rule.FromProperty, overlay));
            }

            foreach (V1NetworkPolicyEgressRule rule in policy.Spec.Egress ?? [])
            {
                found.AddRange(Strangers(policy, rule.To, overlay));
                PodTemplate[] behind = [.. (rule.To ?? []).Where(static peer => peer.PodSelector is not null)
                    .SelectMany(peer => overlay.Select(peer.PodSelector.MatchLabels))];
                found.AddRange(Missing(policy, rule.Ports, behind));
            }
        }

        Findings.AssertNone("network policies that do not match the pods", found);
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task NetworkPolicies_EveryPodOfTheNamespace_IsClosedUnlessOpened(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        V1NetworkPolicySpec deny = overlay.One<V1NetworkPolicy>("upool-default-deny").Spec;

        Assert.Equal(["Egress", "Ingress"], deny.PolicyTypes.Order());
        Assert.Null(deny.Ingress);
        Assert.Null(deny.Egress);
        Assert.True(deny.PodSelector?.MatchLabels is null && deny.PodSelector?.MatchExpressions is null);

        // Orleans' ports and management are internal: a rule without a source may open only the public port.
        Findings.AssertNone(
            "ports open to every source",
            from policy in overlay.All<V1NetworkPolicy>()
            from rule in policy.Spec.Ingress ?? []
            where rule.FromProperty is null
            from port in rule.Ports ?? []
            where port.Port.Value != "http"
            select $"{policy.Metadata.Name}: {port.Port.Value}");
        Findings.AssertNone(
            "Services that make management public",
            from service in overlay.All<V1Service>()
            where service.Spec.ClusterIP != "None"
            from port in service.Spec.Ports
            where port.Name == "management"
            select service.Metadata.Name);
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Pods_EverythingTheyName_IsThere(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        HashSet<string> maps = [.. overlay.All<V1ConfigMap>().Select(one => one.Metadata.Name)];
        HashSet<string> secrets = [.. overlay.All<V1Secret>().Select(one => one.Metadata.Name)];
        if (name == "production") secrets.UnionWith(ByHand);
        HashSet<string> accounts = [.. overlay.All<V1ServiceAccount>().Select(one => one.Metadata.Name)];

        var found = new List<string>();
        foreach (PodTemplate pod in overlay.Pods)
        {
            V1Container container = pod.Container;
            found.AddRange((container.EnvFrom ?? []).Select(from => from.ConfigMapRef.Name).Except(maps)
                .Select(map => $"{pod.Workload}: ConfigMap {map}"));
            found.AddRange((container.Env ?? []).Select(one => one.ValueFrom?.SecretKeyRef?.Name).OfType<string>()
                .Concat((pod.Spec.Volumes ?? []).Select(volume => volume.Secret?.SecretName).OfType<string>())
                .Except(secrets).Select(secret => $"{pod.Workload}: Secret {secret}"));
            if (pod.Spec.ServiceAccountName is { } account && !accounts.Contains(account))
                found.Add($"{pod.Workload}: ServiceAccount {account}");
            HashSet<string> volumes = [.. (pod.Spec.Volumes ?? []).Select(one => one.Name), "data"];
            found.AddRange((container.VolumeMounts ?? []).Where(mount => !volumes.Contains(mount.Name))
                .Select(mount => $"{pod.Workload}: volume {mount.Name}"));
        }

        Findings.AssertNone("references to objects that do not exist", found);
        Findings.AssertNone(
            "keys that a Secret of the overlay lacks",
            from pod in overlay.Pods
            from reference in (pod.Container.Env ?? []).Select(one => one.ValueFrom?.SecretKeyRef)
                .OfType<V1SecretKeySelector>()
            where overlay.All<V1Secret>().FirstOrDefault(one => one.Metadata.Name == reference.Name) is { } secret
                && !secret.Data.ContainsKey(reference.Key)
            select $"{pod.Workload}: {reference.Name}/{reference.Key}");
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Autoscalers_EveryOne_ScalesADeploymentThatLeavesItTheChoice(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Assert.NotEmpty(overlay.All<V2HorizontalPodAutoscaler>());
        foreach (V2HorizontalPodAutoscaler scaler in overlay.All<V2HorizontalPodAutoscaler>())
        {
            V1Deployment deployment = overlay.One<V1Deployment>(scaler.Spec.ScaleTargetRef.Name);
            Assert.Null(deployment.Spec.Replicas);
            Assert.InRange(scaler.Spec.MinReplicas ?? 0, 1, scaler.Spec.MaxReplicas);

            // The autoscaler measures usage relative to the request.
            Assert.True(overlay.Pod(deployment.Metadata.Name).Container.Resources.Requests.ContainsKey("cpu"));
            Assert.Equal("cpu", Assert.Single(scaler.Spec.Metrics).Resource.Name);
        }

        Findings.AssertNone(
            "deployments without an autoscaler or a disruption budget",
            from deployment in overlay.All<V1Deployment>()
            let labels = deployment.Spec.Template.Metadata.Labels
            where overlay.All<V2HorizontalPodAutoscaler>().All(
                    one => one.Spec.ScaleTargetRef.Name != deployment.Metadata.Name)
                || overlay.All<V1PodDisruptionBudget>().All(
                    one => !one.Spec.Selector.MatchLabels.All(labels.Contains))
            select deployment.Metadata.Name);
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task ServiceMonitor_OfMonitoring_FindsEveryPodOfUPoolThatLives(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        ServiceMonitor monitor = (await Overlay.RenderAsync("monitoring")).One<ServiceMonitor>("upool");
        MonitorEndpoint endpoint = Assert.Single(monitor.Spec.Endpoints);

        string[] found = [.. overlay.All<V1Service>()
            .Where(service => service.Metadata.Labels is { } labels
                && monitor.Spec.Selector.MatchLabels.All(labels.Contains)
                && service.Spec.Ports.Any(port => port.Name == endpoint.Port))
            .SelectMany(service => overlay.Select(service.Spec.Selector)).Select(pod => pod.Workload)];

        Assert.Equal(
            overlay.All<V1Deployment>().Select(deployment => deployment.Metadata.Name).Order(), found.Order());
        Assert.Equal(("upool-management", "key"), (
            endpoint.Authorization.Credentials.Name, endpoint.Authorization.Credentials.Key));
    }

    private static IEnumerable<(string Place, IDictionary<string, string> Labels, string? Workload)> WorkloadSelectors(
        Overlay overlay)
    {
        foreach (V1Deployment one in overlay.All<V1Deployment>())
        {
            string name = one.Metadata.Name;
            yield return ($"Deployment {name}", one.Spec.Selector.MatchLabels, name);
            foreach (V1TopologySpreadConstraint spread in one.Spec.Template.Spec.TopologySpreadConstraints)
                yield return ($"the spread of {name}", spread.LabelSelector.MatchLabels, name);
        }

        foreach (V1StatefulSet one in overlay.All<V1StatefulSet>())
            yield return ($"StatefulSet {one.Metadata.Name}", one.Spec.Selector.MatchLabels, one.Metadata.Name);
        foreach (V1Service one in overlay.All<V1Service>())
            yield return ($"Service {one.Metadata.Name}", one.Spec.Selector, null);
        foreach (V1PodDisruptionBudget one in overlay.All<V1PodDisruptionBudget>())
            yield return ($"PodDisruptionBudget {one.Metadata.Name}", one.Spec.Selector.MatchLabels, null);
    }

    // Pods of a policy that lack a port that it names.
    private static IEnumerable<string> Missing(
        V1NetworkPolicy policy, IList<V1NetworkPolicyPort>? ports, IEnumerable<PodTemplate> pods) =>
        from port in ports ?? []
        from pod in pods
        where pod.PortOf(port.Port) is null
        select $"{policy.Metadata.Name}: {pod.Workload} has no port {port.Port.Value}";

    // Peers in this namespace that match no pod.
    private static IEnumerable<string> Strangers(
        V1NetworkPolicy policy, IList<V1NetworkPolicyPeer>? peers, Overlay overlay) =>
        from peer in peers ?? []
        where peer.PodSelector is not null && peer.NamespaceSelector is null
            && !overlay.Select(peer.PodSelector.MatchLabels).Any()
        select $"{policy.Metadata.Name}: no pod is {string.Join(", ", peer.PodSelector.MatchLabels.Values)}";
}
