using System.Text.RegularExpressions;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>The manifests name only images that the Dockerfile builds.</summary>
public sealed partial class ImageTests
{
    private static readonly string File = Repository.Text("deploy/Dockerfile", "the images");

    private static HashSet<string> Targets => [.. Stage().Matches(File).Select(match => match.Groups[1].Value)];

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Pods_EveryImageOfOurs_IsATargetAndHasATag(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        string[] images = [.. overlay.Pods.Select(pod => pod.Container.Image)];

        Assert.Contains(images, image => image.Contains("upool-", StringComparison.Ordinal));
        foreach (string image in images.Where(one => one.Contains("upool-", StringComparison.Ordinal)))
            Assert.Contains(Regex.Match(image, @"upool-(\w+):[\w.]+$").Groups[1].Value, Targets);
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Pods_EveryPort_IsExposedByTheImage(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);

        Findings.AssertNone(
            "ports that the Dockerfile does not expose",
            from pod in overlay.Pods
            where pod.Container.Image.Contains("upool-", StringComparison.Ordinal)
            from port in pod.Container.Ports ?? []
            where !ExposedBy(TargetOf(pod.Container.Image)).Contains($"{port.ContainerPort}")
            select $"{pod.Workload}: {port.ContainerPort}");
    }

    [Fact]
    public void Compose_EveryBuild_IsATarget()
    {
        Compose compose = Compose.Read();

        Assert.All(
            compose.Services.Values.Where(one => one.Image.StartsWith("upool-", StringComparison.Ordinal)),
            one =>
            {
                Assert.Contains(one.Build!.Target, Targets);
                Assert.Equal($"upool-{one.Build.Target}:dev", one.Image);
                Assert.Equal("deploy/Dockerfile", one.Build.Dockerfile);
            });
    }

    [Fact]
    public async Task User_OfTheImage_IsTheOneOfThePods()
    {
        Overlay overlay = await Overlay.RenderAsync("production");

        Assert.All(overlay.Pods, pod => Assert.Contains(
            $"\nUSER {pod.Spec.SecurityContext.RunAsUser}:{pod.Spec.SecurityContext.RunAsGroup}\n", File));
    }

    private static string TargetOf(string image) => Regex.Match(image, @"upool-(\w+)").Groups[1].Value;

    private static string[] ExposedBy(string target)
    {
        string stage = File[File.IndexOf($" AS {target}\n", StringComparison.Ordinal)..];
        int next = stage.IndexOf("\nFROM ", StringComparison.Ordinal);
        return Regex.Match(next < 0 ? stage : stage[..next], @"\nEXPOSE (.+)").Groups[1].Value.Split(' ');
    }

    [GeneratedRegex(@"^FROM \S+ AS (\w+)$", RegexOptions.Multiline)]
    private static partial Regex Stage();
}
