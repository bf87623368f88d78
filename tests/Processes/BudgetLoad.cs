using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>
/// Silos with one budget, under a load that wants more than the budget, on a server that would accept far more. If
/// <c>UPOOL_BUDGET_ROUNDS</c> is above 1, every step runs that often, with the default lease times.
/// </summary>
internal static class BudgetLoad
{
    private const string RoundsVariable = "UPOOL_BUDGET_ROUNDS";
    public const int Budget = 40;
    private const int MaxSilos = 5;

    // 40 minus 5 silos with 2 control connections each, 1 client with 2, the migration's 2 and the reserve of 2.
    public const int Shared = 24;

    // On each silo, more than the whole budget.
    private const int Clients = 40;

    // Samples, one every 50 ms.
    private const int LooksAtOnce = 20;

    public static readonly int Rounds =
        int.TryParse(Environment.GetEnvironmentVariable(RoundsVariable), CultureInfo.InvariantCulture, out int rounds)
            ? rounds
            : 1;

    public static readonly TimeSpan LeaseDuration = TimeSpan.FromSeconds(Rounds > 1 ? 10 : 3);
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(Rounds > 1 ? 5 : 1);

    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    public static Dictionary<string, string?> Settings() => new()
    {
        // In Development silos accept a load generator's commands.
        ["ASPNETCORE_ENVIRONMENT"] = "Development",
        ["DOTNET_ENVIRONMENT"] = "Development",
        ["UPool__Pool__MaxConnections"] = Budget.ToString(CultureInfo.InvariantCulture),
        ["UPool__Budget__ServerConnections"] = Budget.ToString(CultureInfo.InvariantCulture),
        ["UPool__Budget__MaxSilos"] = MaxSilos.ToString(CultureInfo.InvariantCulture),
        ["UPool__Budget__MaxClients"] = "1",
        ["UPool__Budget__RenewInterval"] = Rounds > 1 ? "00:00:01" : "00:00:00.5",
        ["UPool__Budget__LeaseDuration"] = LeaseDuration.ToString(),
        ["UPool__Budget__Grace"] = Grace.ToString(),
    };

    /// <summary>Waits until nine tenths of all permits are used at once, in equal shares, and only by the expected
    /// silos; asserts that no limit was exceeded.</summary>
    public static async Task SaturatedAsync(
        ProcessCluster cluster, ServerWitness? witness, string when, int? sharing = null)
    {
        long startedAt = Stopwatch.GetTimestamp();
        int silos = sharing ?? cluster.Silos.Count;
        string state = "";
        while (true)
        {
            // Also checked on the server: statements in progress in at least half of the samples.
            (bool isShared, state) = await LookAsync(cluster, silos);
            if (isShared && (witness is not { Samples: > 0 } || witness.MedianBusy(LooksAtOnce) >= 0.9 * Shared)) break;

            if (Stopwatch.GetElapsedTime(startedAt).TotalSeconds > 60)
            {
                Assert.Fail($"{when}: not all of {Shared} permits are used by {silos} silos, "
                    + $"{witness?.MedianBusy(LooksAtOnce)} seen at work. {state}\n{cluster.Output}");
            }

            await Task.Delay(100);
        }

        if (witness is not null) Print(await witness.AssertWithinAsync(when));
    }

    private static async Task<(bool IsShared, string State)> LookAsync(ProcessCluster cluster, int silos)
    {
        using HttpResponseMessage reply = await cluster.Management.GetAsync("/upool/pool");
        string text = await reply.Content.ReadAsStringAsync();
        using JsonDocument body = JsonDocument.Parse(text);
        JsonElement data = body.RootElement.GetProperty("data");
        if (!data.TryGetProperty("budget", out JsonElement budget)) return (false, text);

        int holders = budget.GetProperty("leases").EnumerateArray()
            .Count(static lease => lease.GetProperty("held").GetInt32() > 0);
        int[] used = [.. data.GetProperty("silos").EnumerateArray()
            .Where(static silo => silo.TryGetProperty("pool", out _))
            .Select(static silo => silo.GetProperty("pool").GetProperty("used").GetInt32())];
        bool isShared = holders == silos && used.Sum() >= 0.9 * Shared
            && used.Count(share => share >= (Shared / silos) - 1) == silos;
        return (isShared, text);
    }

    public static async Task LoadAsync(
        IEnumerable<ProcessHost> silos, string work = "sleep")
    {
        foreach (ProcessHost silo in silos)
        {
            string line =
                silo.Lines.First(static line => line.Contains("UPool.Silo is ready", StringComparison.Ordinal));
            string management = line[(line.IndexOf("management ", StringComparison.Ordinal) + "management ".Length)..];
            using HttpResponseMessage reply = await Http.PostAsync(
                $"{management}/upool/load?clients={Clients}&seconds=3600&hold=500&work={work}", null);
            reply.EnsureSuccessStatusCode();
        }
    }

    public static void Print(string text) => TestContext.Current.TestOutputHelper?.WriteLine(text);
}
