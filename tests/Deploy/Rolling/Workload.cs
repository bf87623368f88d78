using System.Net;
using k8s.Models;
using UPool.Deploy.Tests.Manifests;
using UPool.Deploy.Tests.Running;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>A Deployment of stand-ins, scaled and rolled as its controller does by the manifest's numbers.</summary>
internal sealed class Workload(
    Overlay overlay, string name, Func<string, string, string> secret,
    IReadOnlyDictionary<string, string?>? settings = null) : IAsyncDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(90);

    private readonly V1DeploymentSpec _spec = overlay.One<V1Deployment>(name).Spec;
    private readonly Lock _gate = new();

    // All that ever were. Guarded by _gate, because the proxy asks for them at each connection.
    private readonly List<(StandIn Pod, Kubelet Kubelet)> _pods = [];

    // Those that were told to end, and their ends. Guarded by _gate.
    private readonly Dictionary<StandIn, Task> _leaving = [];

    /// <summary>Those that run and were not told to end, the oldest first.</summary>
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

    /// <summary>Everything the processes said, for the message of a failure.</summary>
    public string Output
    {
        get
        {
            lock (_gate)
                return string.Join("\n\n", _pods.Select(one => $"== {one.Pod.Process.Name}\n{one.Pod.Process.Output}"));
        }
    }

    /// <summary>Where a proxy that follows readiness sends to, and nothing but readiness: not even that a pod is to
    /// end.</summary>
    public IReadOnlyList<IPEndPoint> ReadyEndPoints(string port)
    {
        lock (_gate) return [.. _pods.Where(one => one.Kubelet.IsReady).Select(one => one.Pod.EndPoint(port))];
    }

    /// <summary>Where one that ignores it does: every process that runs.</summary>
    public IReadOnlyList<IPEndPoint> RunningEndPoints(string port)
    {
        lock (_gate) return [.. _pods.Where(one => !one.Pod.Process.HasExited).Select(one => one.Pod.EndPoint(port))];
    }

    /// <summary>Starts or ends pods until there are this many; those that are added are ready then.</summary>
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

    /// <summary>Replaces every pod: one more is started, and one that is available lets an old one go.</summary>
    public async Task RollAsync()
    {
        // What the loop below does is what these two numbers mean.
        Assert.Equal("1", _spec.Strategy.RollingUpdate.MaxSurge.Value);
        Assert.Equal("0", _spec.Strategy.RollingUpdate.MaxUnavailable.Value);
        foreach (StandIn old in Pods)
        {
            (_, Kubelet kubelet) = await AddAsync();
            await kubelet.WhenReady.WaitAsync(Patient);
            await Task.Delay(TimeSpan.FromSeconds(_spec.MinReadySeconds ?? 0));

            // The controller does not wait for the old one's end before it starts the next.
            Delete(old);
        }
    }

    /// <summary>Waits until everyone who was told to end has ended, in good order and in the time that the manifest
    /// grants.</summary>
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
