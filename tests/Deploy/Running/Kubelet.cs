using k8s.Models;

namespace UPool.Deploy.Tests.Running;

/// <summary>Probes a stand-in as the kubelet does, with the manifest's paths, intervals, timeouts and
/// thresholds.</summary>
internal sealed class Kubelet : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly StandIn _pod;
    private readonly Task _probing;

    public Kubelet(StandIn pod)
    {
        _pod = pod;
        _probing = Task.Run(ProbeAsync);
    }

    /// <summary>Whether Services would send requests to the pod.</summary>
    public bool IsReady { get; private set; }

    /// <summary>Completes when the pod is ready for the first time; fails if its start takes longer than the manifest
    /// allows.</summary>
    public Task WhenReady => _ready.Task;

    /// <summary>Whether the liveness probe would have restarted the pod.</summary>
    public bool WouldRestart { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _probing;
        _stop.Dispose();
    }

    private async Task ProbeAsync()
    {
        using var client = new HttpClient();
        V1Container container = _pod.Pod.Container;
        try
        {
            if (!await StartedAsync(client, container.StartupProbe)) return;

            await Task.WhenAll(
                FollowAsync(client, container.ReadinessProbe, isWell =>
                {
                    IsReady = isWell;
                    if (isWell) _ready.TrySetResult();
                }),
                FollowAsync(client, container.LivenessProbe, isWell => WouldRestart |= !isWell));
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private async Task<bool> StartedAsync(HttpClient client, V1Probe probe)
    {
        for (int failures = 0; failures < (probe.FailureThreshold ?? 3); failures++)
        {
            if (_pod.Process.HasExited) break;
            if (await AnswersAsync(client, probe)) return true;

            await Task.Delay(TimeSpan.FromSeconds(probe.PeriodSeconds ?? 10), _stop.Token);
        }

        _ready.TrySetException(
            new InvalidOperationException($"{_pod.Process.Name} did not start. Its output:\n{_pod.Process.Output}"));
        return false;
    }

    private async Task FollowAsync(HttpClient client, V1Probe probe, Action<bool> report)
    {
        int failures = 0;
        while (!_pod.Process.HasExited)
        {
            if (await AnswersAsync(client, probe))
            {
                failures = 0;
                report(true);
            }
            else if (++failures >= (probe.FailureThreshold ?? 3) && !_pod.Process.HasExited)
            {
                report(false);
            }

            await Task.Delay(TimeSpan.FromSeconds(probe.PeriodSeconds ?? 10), _stop.Token);
        }

        IsReady = false;
    }

    private async Task<bool> AnswersAsync(HttpClient client, V1Probe probe)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        bound.CancelAfter(TimeSpan.FromSeconds(probe.TimeoutSeconds ?? 1));
        try
        {
            using HttpResponseMessage reply = await client.GetAsync(_pod.UrlOf(probe), bound.Token);
            return reply.IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException
            || (exception is OperationCanceledException && !_stop.IsCancellationRequested))
        {
            return false;
        }
    }
}
