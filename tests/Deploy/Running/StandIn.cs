using System.Net;
using k8s.Models;
using UPool.Deploy.Tests.Manifests;
using UPool.Testing;

namespace UPool.Deploy.Tests.Running;

/// <summary>
/// A real process in place of a pod: the program of the image's target, with the manifest's environment and ports.
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

    /// <summary>Starts the process without waiting for readiness.</summary>
    /// <param name="overlay">The manifests.</param>
    /// <param name="workload">The Deployment or Job.</param>
    /// <param name="secret">The values of Secrets, by name and key.</param>
    /// <param name="settings">Override the manifest's environment where the test does not depend on it.</param>
    public static async Task<StandIn> StartAsync(
        Overlay overlay, string workload, Func<string, string, string> secret,
        IReadOnlyDictionary<string, string?>? settings = null)
    {
        PodTemplate pod = overlay.Pod(workload);
        string address = PodNetwork.NextAddress();
        Dictionary<string, string?> environment = Settings.Of(overlay, pod, address, secret);

        // In a pod, "every address" means the pod's own network; a process here shares the machine's.
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

        // Not inherited from the test's environment.
        environment.TryAdd("ASPNETCORE_URLS", null);
        environment.TryAdd("ASPNETCORE_ENVIRONMENT", null);
        environment.TryAdd("DOTNET_ENVIRONMENT", null);

        string target = pod.Container.Image.Split('/')[^1].Split(':')[0]["upool-".Length..];
        string program = target == "silo" ? "Silo" : "Api";
        ProcessHost process = await ProcessHost.StartDotnetAsync(
            $"{workload} {address}", BuiltPrograms.Dll(program), pod.Container.Args ?? [], environment);
        return new StandIn(pod, address, process);
    }

    /// <summary>The end point of a port of the manifest.</summary>
    public IPEndPoint EndPoint(string port) => new(
        IPAddress.Parse(Address),
        Pod.PortOf(port) ?? throw new InvalidOperationException($"{Pod.Workload} has no port '{port}'."));

    /// <summary>The URL of a probe.</summary>
    public Uri UrlOf(V1Probe probe) => new($"http://{EndPoint(probe.HttpGet.Port.Value)}{probe.HttpGet.Path}");

    public ValueTask DisposeAsync() => Process.DisposeAsync();
}
