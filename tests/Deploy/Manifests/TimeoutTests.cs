using System.Globalization;
using k8s.Models;
using UPool.Cluster.Membership;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>Each timeout ends before the next one would cut it off.</summary>
public sealed class TimeoutTests
{
    // LeaveNotice.Duration: the time that a leaving silo gives its clients.
    private static readonly TimeSpan Notice = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Stopping_EveryStep_EndsBeforeTheNextCutsItOff(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        foreach (PodTemplate pod in Deployed(overlay))
        {
            TimeSpan delay = Settings.TimeOf(overlay, pod, "UPool__Shutdown__Delay", TimeSpan.Zero);
            TimeSpan requests = Settings.TimeOf(overlay, pod, "UPool__Http__RequestTimeout", RequestTimeout);
            TimeSpan drain = Settings.TimeOf(
                overlay, pod, "UPool__Pool__DrainTimeout", new PoolOptions().DrainTimeout);
            TimeSpan stop = Settings.TimeOf(
                overlay, pod, "UPool__Cluster__ShutdownTimeout", new UPoolClusterOptions().ShutdownTimeout);
            TimeSpan grace = TimeSpan.FromSeconds(pod.Spec.TerminationGracePeriodSeconds ?? 30);
            TimeSpan rent = Settings.TimeOf(
                overlay, pod, "UPool__Pool__RentTimeout", new PoolOptions().RentTimeout);
            bool isFront = pod.Container.Ports.Any(port => port.Name == "http");

            // A rent that waits for its whole timeout leaves at least half of the request time for the statement.
            Assert.True(rent < requests / 2, pod.Workload);

            // Statements that still run when the drain begins belong to requests that end within their own timeout.
            Assert.True(drain >= requests, pod.Workload);
            Assert.True(stop > delay + (isFront ? requests : TimeSpan.Zero) + Notice + drain, pod.Workload);
            Assert.True(grace >= stop + TimeSpan.FromSeconds(5), pod.Workload);
            if (!isFront) continue;

            // Traffic that follows readiness has stopped before the server stops listening: the probes after the last
            // success that must fail, and the last probe's timeout.
            V1Probe ready = pod.Container.ReadinessProbe;
            var noticed = TimeSpan.FromSeconds(
                ((ready.FailureThreshold ?? 3) * (ready.PeriodSeconds ?? 10)) + (ready.TimeoutSeconds ?? 1));
            Assert.True(delay > noticed, $"{pod.Workload}: {delay} against {noticed}");
        }
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("cohosted")]
    [InlineData("production")]
    public async Task Starting_EveryProbe_LeavesTheTimeThatIsNeeded(string name)
    {
        Overlay overlay = await Overlay.RenderAsync(name);
        foreach (PodTemplate pod in Deployed(overlay))
        {
            V1DeploymentSpec deployment = overlay.One<V1Deployment>(pod.Workload).Spec;
            V1Probe startup = pod.Container.StartupProbe;
            int startupSeconds = startup.FailureThreshold!.Value * startup.PeriodSeconds!.Value;
            Assert.True(deployment.ProgressDeadlineSeconds > startupSeconds + deployment.MinReadySeconds);
            Assert.Equal("1", deployment.Strategy.RollingUpdate.MaxSurge.Value);
            Assert.Equal("0", deployment.Strategy.RollingUpdate.MaxUnavailable.Value);

            foreach (V1Probe probe in new[] { startup, pod.Container.ReadinessProbe, pod.Container.LivenessProbe })
                Assert.True(probe.TimeoutSeconds <= probe.PeriodSeconds, pod.Workload);
        }
    }

    [Fact]
    public async Task Scraping_Timeout_IsShorterThanTheInterval()
    {
        Overlay monitoring = await Overlay.RenderAsync("monitoring");

        Assert.All(
            monitoring.One<ServiceMonitor>("upool").Spec.Endpoints,
            one => Assert.True(Seconds(one.ScrapeTimeout) < Seconds(one.Interval)));
    }

    [Fact]
    public void Compose_EveryProgram_IsGivenTheTimeToStop() =>
        Assert.All(
            Compose.Read().Services.Values.Where(one => one.Image.StartsWith("upool-", StringComparison.Ordinal)),
            one => Assert.True(Seconds(one.StopGracePeriod) > new UPoolClusterOptions().ShutdownTimeout.TotalSeconds));

    [Fact]
    public void Systemd_EveryProgramThatStays_IsGivenTheTimeToStop() =>
        Assert.All(
            Unit.All.Where(unit => unit["Type"] != "oneshot"),
            unit => Assert.True(
                int.Parse(unit["TimeoutStopSec"], CultureInfo.InvariantCulture)
                > new UPoolClusterOptions().ShutdownTimeout.TotalSeconds));

    private static IEnumerable<PodTemplate> Deployed(Overlay overlay) =>
        overlay.All<V1Deployment>().Select(deployment => overlay.Pod(deployment.Metadata.Name));

    private static int Seconds(string text) => int.Parse(text.TrimEnd('s'), CultureInfo.InvariantCulture);
}
