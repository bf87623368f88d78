using System.Reflection;
using k8s.Models;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>The programs read every setting in the manifests.</summary>
public sealed class SettingTests
{
    private static readonly string[] Assemblies =
    [
        "UPool", "UPool.Sqlite", "UPool.Hosting", "UPool.Cluster", "UPool.Management", "UPool.Grains", "UPool.Api",
        "UPool.Silo",
    ];

    // Not options: read before options exist, or by ASP.NET.
    private static readonly string[] BesideOptions = ["UPool:Api:HostSilo", "ASPNETCORE_URLS"];

    /// <summary>The keys that the programs read, with colons.</summary>
    public static HashSet<string> Known { get; } =
        [.. OptionKeys.Of([.. Assemblies.SelectMany(name => Assembly.Load(name).GetTypes())]), .. BesideOptions];

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Pods_EverySetting_IsReadByTheProgram(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Findings.AssertNone(
            "settings that no program reads",
            from pod in overlay.Pods
            where pod.Container.Image.Contains("upool-", StringComparison.Ordinal)
            from key in Settings.KeysOf(overlay, pod)
            where !IsKnown(key)
            select $"{pod.Workload}: {key}");
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task ConfigMaps_EveryOne_IsUsed(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        string[] used =
            [.. overlay.Pods.SelectMany(pod => pod.Container.EnvFrom ?? []).Select(from => from.ConfigMapRef.Name)];

        Findings.AssertNone(
            "settings that reach no pod",
            overlay.All<V1ConfigMap>().Select(one => one.Metadata.Name).Except(used));
    }

    [Fact]
    public void Compose_EverySetting_IsReadByTheProgram() =>
        Findings.AssertNone(
            "settings in compose.yaml that no program reads",
            Compose.Read().Services.Where(one => one.Value.Image.StartsWith("upool-", StringComparison.Ordinal))
                .SelectMany(one => one.Value.Environment.Keys).Distinct().Where(key => !IsKnown(key)));

    [Fact]
    public void Systemd_EverySetting_IsReadByTheProgram() =>
        Findings.AssertNone(
            "settings in units that no program reads",
            from unit in Unit.All
            from key in unit.Environment.Keys
            where !IsKnown(key)
            select $"{unit.File}: {key}");

    private static bool IsKnown(string variable) => Known.Contains(variable.Replace("__", ":"));
}
