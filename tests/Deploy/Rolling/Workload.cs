using System.Net;
using k8s.Models;
using UPool.Deploy.Tests.Manifests;
using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>A Deployment of stand-ins, scaled and rolled with the manifest's numbers as its controller does.</summary>
internal sealed class Workload(
    Overlay overlay, string name, Func<string, string, string> secret,
    IReadOnlyDictionary<string, string?>? settings = null) : IAsyncDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(90);

    private readonly V1DeploymentSpec _spec = overlay.One<V1Deployment>(name).Spec;
    private readonly Lock _gate = new();

    // All pods, including ended ones. Guarded by _gate, because the proxy reads them for each connection.
    private readonly List<(StandIn Pod, Kubelet Kubelet)> _pods = [];

    // Pods that were told to stop, with the tasks of their ends. Guarded by _gate.
    private readonly Dictionary<StandIn, Task> _leaving = [];

    /// <summary>The pods that run and were not told to stop, oldest first.</summary>
    public IReadOnlyList<StandIn> Pods
    {
        get
        {
            lock (_gate)
            {
                return
                [
                    .. _pods.Select(one => one.Pod)
                        .Where(pod => !_leaving.ContainsKey(pod) && !pod.Process.HasExited),
                ];
            }
        }
    }

    /// <summary>The output of all processes, for failure messages.</summary>
    public string Output
    {
        get
        {
            lock (_gate)
                return string.Join("\n\n", _pods.Select(one => $"== {one.Pod.Process.Name}\n{one.Pod.Process.Output}"));
        }
    }

    /// <summary>The targets of a proxy that follows readiness alone; it ignores that a pod is about to stop.</summary>
    public IReadOnlyList<IPEndPoint> ReadyEndPoints(string port)
    {
        lock (_gate) return [.. _pods.Where(one => one.Kubelet.IsReady).Select(one => one.Pod.EndPoint(port))];
    }

    /// <summary>The targets of a proxy that ignores readiness: every running process.</summary>
    public IReadOnlyList<IPEndPoint> RunningEndPoints(string port)
    {
        lock (_gate) return [.. _pods.Where(one => !one.Pod.Process.HasExited).Select(one => one.Pod.EndPoint(port))];
    }

    /// <summary>Starts or stops pods to reach this number; on return, added pods are ready.</summary>
    public async Task ScaleAsync(int replicas)
    {
        StandIn[] pods = [.. Pods];
        if (replicas > pods.Length)
        {
            (StandIn Pod, Kubelet Kubelet)[] added =
                await Task.WhenAll(Enumerable.Range(0, replicas - pods.Length).Select(_ => AddAsync()));
            await Task.WhenAll(added.Select(one => one.Kubelet.WhenReady.WaitAsync(Patient)));
        }

        // All at once, as the controller does; the youngest first.
        foreach (StandIn pod in pods.Skip(replicas).Reverse()) Delete(pod);
    }

    /// <summary>Replaces every pod: starts a new one and, when it is available, stops an old one.</summary>
    public async Task RollAsync()
    {
        // The loop below implements exactly these two numbers.
        Assert.Equal("1", _spec.Strategy.RollingUpdate.MaxSurge.Value);
        Assert.Equal("0", _spec.Strategy.RollingUpdate.MaxUnavailable.Value);
        foreach (StandIn old in Pods)
        {
            (_, Kubelet kubelet) = await AddAsync();
            await kubelet.WhenReady.WaitAsync(Patient);
            await Task.Delay(TimeSpan.FromSeconds(_spec.MinReadySeconds ?? 0));

            // The controller does not wait for the old pod's end before it starts the next one.
            Delete(old);
        }
    }

    /// <summary>Waits until every pod that was told to stop has ended cleanly within the manifest's grace
    /// period.</summary>
    public Task SettleAsync()
    {
        lock (_gate) return Task.WhenAll(_leaving.Values);
    }

    public async ValueTask DisposeAsync()
    {
        foreach ((StandIn pod, Kubelet kubelet) in _pods)
        {
            await kubelet.DisposeAsync();
            await pod.DisposeAsync();
        }
    }

    private async Task<(StandIn Pod, Kubelet Kubelet)> AddAsync()
    {
        StandIn pod = await StandIn.StartAsync(overlay, name, secret, settings);
        (StandIn, Kubelet) added = (pod, new Kubelet(pod));
        lock (_gate) _pods.Add(added);
        return added;
    }

    private void Delete(StandIn pod)
    {
        pod.Process.Terminate();
        lock (_gate) _leaving[pod] = EndAsync(pod);
    }

    private async Task EndAsync(StandIn pod)
    {
        long grace = pod.Pod.Spec.TerminationGracePeriodSeconds ?? 30;
        int code = await pod.Process.WaitForExitAsync(TimeSpan.FromSeconds(grace));
        Assert.True(code == 0, $"{pod.Process.Name} ended with {code}:\n{pod.Process.Output}");
        lock (_gate)
        {
            int index = _pods.FindIndex(one => one.Pod == pod);
            Assert.False(_pods[index].Kubelet.WouldRestart, $"{pod.Process.Name} failed its liveness probe.");
        }
    }
}
