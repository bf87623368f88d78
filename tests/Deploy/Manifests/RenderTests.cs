using k8s;
using k8s.Models;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>Every overlay renders, and Kubernetes knows every field in it.</summary>
public sealed class RenderTests
{
    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    [InlineData("monitoring")]
    public async Task Kustomize_EveryOverlay_IsReadStrictly(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Assert.NotEmpty(overlay.Objects);
        Findings.AssertNone(
            "objects that occur twice",
            overlay.Objects.GroupBy(one => $"{one.Kind}/{one.Metadata.Name}").Where(group => group.Count() > 1)
                .Select(group => group.Key));
        Findings.AssertNone(
            "objects outside the namespace",
            from one in overlay.Objects
            where one is not V1Namespace && one.Metadata.NamespaceProperty != "upool"
            select $"{one.Kind}/{one.Metadata.Name}");
    }

    [Fact]
    public void Overlays_EveryFolder_IsTested() =>
        Assert.Equal(
            ["cohosted", "dev", "monitoring", "production"],
            Directory.GetDirectories(Path.Combine(Repository.Root, Overlay.Folder)).Select(Path.GetFileName).Order());

    [Fact]
    public void Kustomizations_EveryOne_IsReadStrictly()
    {
        string[] files =
            [.. Repository.FilesOf(".yaml", "deploy/k8s/").Where(file => file.EndsWith("kustomization.yaml"))];

        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            var one = KubernetesYaml.Deserialize<Kustomization>(Repository.Text(file, "a kustomization"), strict: true);
            Assert.True(one.Kind is "Kustomization" or "Component", file);
        }
    }

    [Fact]
    public void Read_KnownFields_AreRead() =>
        Assert.Equal(
            3,
            Assert.IsType<V1Deployment>(Overlay.Read(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 3}\n").Single())
                .Spec.Replicas);

    [Theory]
    [InlineData("replica: 1")]
    [InlineData("template: {spec: {container: []}}")]
    [InlineData("template: {spec: {containers: [{name: a, livenessProbe: {httpget: {port: 1}}}]}}")]
    public void Read_UnknownField_IsRefused(string spec) =>
        Assert.ThrowsAny<Exception>(() => Overlay.Read(
            $$"""
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: a}
            spec: {{{spec}}}
            """));

    [Theory]
    [InlineData("endpoints: [{port: a, interal: 1s}]")]
    [InlineData("selector: {matchLabel: {a: b}}")]
    public void Read_UnknownFieldOfAServiceMonitor_IsRefused(string spec) =>
        Assert.ThrowsAny<Exception>(() => Overlay.Read(
            $$"""
            apiVersion: monitoring.coreos.com/v1
            kind: ServiceMonitor
            metadata: {name: a}
            spec: {{{spec}}}
            """));

    [Fact]
    public void Read_UnknownKind_IsRefused() =>
        Assert.ThrowsAny<Exception>(() => Overlay.Read("apiVersion: v1\nkind: Pot\nmetadata: {name: a}\n"));
}
