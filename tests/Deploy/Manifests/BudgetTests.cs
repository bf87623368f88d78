using System.Text.RegularExpressions;
using k8s.Models;
using UPool.MySql;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>The numbers of connections in the production overlay add up.</summary>
public sealed partial class BudgetTests
{
    private const string Accounts = "deploy/k8s/overlays/production/accounts.sql";

    // One surge process above the autoscaler's maximum, and one replaced process that has not ended yet.
    private const int SurgeAndLeaving = 2;

    [Fact]
    public async Task Budget_MostProcesses_AreCovered()
    {
        Overlay production = await Overlay.RenderAsync("production");

        Assert.True(Number(production, "MaxSilos") >= Most(production, "upool-silo") + SurgeAndLeaving);
        Assert.True(Number(production, "MaxClients") >= Most(production, "upool-api") + SurgeAndLeaving);
        int least = (Number(production, "MaxSilos") * Number(production, "Floor"))
            + Control(production) + ControlConnections.MaxConnections + Number(production, "Reserve");
        Assert.True(Number(production, "ServerConnections") > least);

        // The figure in the file equals the sum.
        Assert.Contains($" {least} ", Repository.Text("deploy/k8s/overlays/production/budget.env", "the budget"));
    }

    [Fact]
    public async Task Accounts_TheirLimits_AddUpToTheBudget()
    {
        Overlay production = await Overlay.RenderAsync("production");
        int pool = LimitOf("upool_pool");

        Assert.Equal(Control(production), LimitOf("upool_control"));
        Assert.Equal(ControlConnections.MaxConnections, LimitOf("upool_schema"));
        Assert.Equal(
            Number(production, "ServerConnections") - Number(production, "Reserve"),
            pool + LimitOf("upool_control") + LimitOf("upool_schema"));

        // One silo's ceiling is at least its even share and at most the whole.
        int ceiling = Settings.NumberOf(production, production.Pod("upool-silo"), "UPool__Pool__MaxConnections");
        int atRest = production.One<V2HorizontalPodAutoscaler>("upool-silo").Spec.MinReplicas!.Value;
        Assert.InRange(ceiling, pool / atRest, pool);
    }

    private static int Control(Overlay overlay) =>
        (Number(overlay, "MaxSilos") + Number(overlay, "MaxClients")) * ControlConnections.MaxConnections;

    private static int Most(Overlay overlay, string workload) =>
        overlay.One<V2HorizontalPodAutoscaler>(workload).Spec.MaxReplicas;

    private static int Number(Overlay overlay, string key) =>
        Settings.NumberOf(overlay, overlay.Pod("upool-silo"), $"UPool__Budget__{key}");

    private static int LimitOf(string account) => int.Parse(
        Limit().Matches(Repository.Text(Accounts, "the accounts")).Single(match => match.Groups[1].Value == account)
            .Groups[2].Value);

    [GeneratedRegex(@"CREATE USER IF NOT EXISTS '(\w+)'[^;]*MAX_USER_CONNECTIONS (\d+);")]
    private static partial Regex Limit();
}
