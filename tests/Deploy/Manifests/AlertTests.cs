using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>The runbook has a line for every alert.</summary>
public sealed class AlertTests
{
    private const string Runbook = "docs/operating/runbook.md";

    [Fact]
    public async Task Runbook_EveryAlert_HasItsLine()
    {
        AlertRule[] alerts = await AlertsAsync();
        string[] lines = Repository.Lines(Runbook);

        Assert.NotEmpty(alerts);
        Findings.AssertNone(
            $"alerts without a line in {Runbook}",
            from alert in alerts
            where !lines.Any(line => line.StartsWith($"| `{alert.Alert}` |", StringComparison.Ordinal))
            select alert.Alert);
        Findings.AssertNone(
            $"lines in {Runbook} of alerts that do not exist",
            from line in lines
            where line.StartsWith("| `UPool", StringComparison.Ordinal) && !line.Contains(':')
            let name = line.Split('`')[1]
            where alerts.All(alert => alert.Alert != name)
            select name);
    }

    [Fact]
    public async Task Alerts_EveryOne_SaysHowLoudItIsAndWhereToRead()
    {
        bool hasHeading = Repository.Lines(Runbook).Contains("## An alert");

        Assert.True(hasHeading);
        Assert.All(await AlertsAsync(), alert =>
        {
            Assert.True(alert.Labels["severity"] is "critical" or "warning", alert.Alert);
            Assert.Equal($"{Runbook}#an-alert", alert.Annotations["runbook"]);
            Assert.NotEmpty(alert.Annotations["summary"]);
            Assert.NotEmpty(alert.For);
        });
    }

    private static async Task<AlertRule[]> AlertsAsync() =>
        [.. (await Overlay.RenderAsync("monitoring")).One<PrometheusRule>("upool").Spec.Groups
            .SelectMany(group => group.Rules)];
}
