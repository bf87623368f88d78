using System.Net;
using k8s.Models;
using UPool.Deploy.Tests.Manifests;
using UPool.Testing;

namespace UPool.Deploy.Tests.Running;

/// <summary>
/// A real process in the place of a pod: the program that the image's target holds, with the environment and the ports
/// that the manifest gives.
/// </summary>
internal sealed class StandIn : IAsyncDisposable
{
    private StandIn(PodTemplate pod, string address, ProcessHost process)
    {
        Pod = pod;
        Address = address;
        Process = process;
    }

    public PodTemplate Pod { get; }

    public string Address { get; }

    public ProcessHost Process { get; }

    /// <summary>The process without waiting for anything.</summary>
    /// <param name="overlay">The manifests.</param>
    /// <param name="workload">The Deployment or Job.</param>
    /// <param name="secret">The values of Secrets, by name and key.</param>
    /// <param name="settings">Over the manifest's environment, for what a test is not about.</param>
    public static async Task<StandIn> StartAsync(
        Overlay overlay, string workload, Func<string, string, string> secret,
        IReadOnlyDictionary<string, string?>? settings = null)
    {
        PodTemplate pod = overlay.Pod(workload);
        string address = PodNetwork.NextAddress();
        Dictionary<string, string?> environment = Settings.Of(overlay, pod, address, secret);

        // A pod has a network of its own, where "every address" is the pod's; a process here has not.
        foreach ((string key, string? value) in environment.ToArray())
        {
            environment[key] = value switch
            {
                "0.0.0.0" => address,
                { } text => text.Replace("http://*:", $"http://{address}:"),
                null => null,
            };
        }

        foreach ((string key, string? value) in settings ?? new Dictionary<string, string?>())
            environment[key] = value;

        // Not from this test's own surroundings.
        environment.TryAdd("ASPNETCORE_URLS", null);
        environment.TryAdd("ASPNETCORE_ENVIRONMENT", null);
        environment.TryAdd("DOTNET_ENVIRONMENT", null);

        string target = pod.Container.Image.Split('/')[^1].Split(':')[0]["upool-".Length..];
        string program = target == "silo" ? "Silo" : "Api";
        ProcessHost process = await ProcessHost.StartDotnetAsync(
            $"{workload} {address}", BuiltPrograms.Dll(program), pod.Container.Args ?? [], environment);
        return new StandIn(pod, address, process);
    }

    /// <summary>Where a port of the manifest is.</summary>
    public IPEndPoint EndPoint(string port) => new(
        IPAddress.Parse(Address),
        Pod.PortOf(port) ?? throw new InvalidOperationException($"{Pod.Workload} has no port '{port}'."));

    /// <summary>What a probe asks.</summary>
    public Uri UrlOf(V1Probe probe) => new($"http://{EndPoint(probe.HttpGet.Port.Value)}{probe.HttpGet.Path}");

    public ValueTask DisposeAsync() => Process.DisposeAsync();
}
