using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.RegularExpressions;
using MySqlConnector;
using UPool.Deploy.Tests.Manifests;
using UPool.Testing;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Running;

/// <summary>Alerts and the dashboard query only metrics, labels and values that the running programs export.</summary>
public sealed partial class MetricTests
{
    private const string DashboardFile = "deploy/k8s/overlays/monitoring/upool.json";

    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    // Prometheus' own metric, and the labels that it adds to every scraped metric.
    private static readonly string[] OfPrometheus = ["up"];
    private static readonly string[] TargetLabels = ["namespace", "pod", "service"];

    private static readonly string[] Operators = ["and", "or", "unless", "by", "on", "ignoring", "bool", "offset"];

    [Fact]
    [Trait("Needs", "OwnProcesses")]
    public async Task Questions_OfAlertsAndDashboard_AreAnsweredByTheRunningPrograms()
    {
        string exported = await ProvokeAndScrapeAsync();
        string[] questions = await QuestionsAsync();

        Assert.True(questions.Length > 20);
        Findings.AssertNone(
            $"metrics that no program exports; exported are {string.Join(", ", Exported(exported).Order())}",
            questions.SelectMany(MetricsIn).Distinct().Except(Exported(exported)).Except(OfPrometheus));
        Findings.AssertNone(
            "labels that the metric does not have",
            from question in questions
            from use in Selector().Matches(question)
            let metric = use.Groups[1].Value
            where !OfPrometheus.Contains(metric)
            from Match label in Label().Matches(use.Groups[2].Value)
            let name = label.Groups[1].Value
            where !TargetLabels.Contains(name)
                && !Regex.IsMatch(exported, $"^{metric}{{[^}}]*\\b{name}=\"", RegexOptions.Multiline)
            select $"{metric} has no {name}");
    }

    [Fact]
    public async Task Reasons_InAlerts_AreThoseOfTheCode()
    {
        string[] known =
        [
            .. Enum.GetValues<RefusalReason>().Select(one => one.ToHeader()),

            // The reasons of closed connections, from their documentation.
            .. Repository.Text("docs/operating/monitoring.md", "every reason").Split('`').Where(IsOdd),
        ];

        Findings.AssertNone(
            "reasons that neither the code nor monitoring.md knows",
            from question in await QuestionsAsync()
            from Match match in Reason().Matches(question)
            from reason in match.Groups[1].Value.Split('|')
            where !known.Contains(reason)
            select reason);
    }

    [Fact]
    public void MetricsIn_Sample_FindsNamesAlone() =>
        Assert.Equal(
            ["a_b_total", "c_d_bucket"],
            MetricsIn("histogram_quantile(0.9, sum by (le, pod) (rate(a_b_total{x_y=\"z_z\"}[5m]))) / c_d_bucket > 1"));

    // The parts between backticks.
    private static bool IsOdd(string text, int index) => index % 2 == 1;

    // Provokes one of each event whose metric appears only after the event.
    private static async Task<string> ProvokeAndScrapeAsync()
    {
        // The overlay with a budget.
        Overlay overlay = await Overlay.RenderAsync("production");
        await using Database database = await Database.StartProductionAsync(overlay);
        var narrow = new Dictionary<string, string?>
        {
            ["UPool__Pool__MaxConnections"] = "1",
            ["UPool__Pool__MaxPending"] = "1",

            // Shorter than UPool:Calls:HedgeAfter: a hedged second query would be rejected and end the first one's
            // wait.
            ["UPool__Pool__RentTimeout"] = "00:00:00.400",
        };
        await using StandIn silo = await StandIn.StartAsync(overlay, "upool-silo", database.Secret, narrow);
        await using StandIn api = await StandIn.StartAsync(overlay, "upool-api", database.Secret);
        foreach (StandIn pod in (StandIn[])[silo, api])
            await using (var kubelet = new Kubelet(pod)) await kubelet.WhenReady.WaitAsync(Patient);

        using var client = new HttpClient { BaseAddress = new Uri($"http://{api.EndPoint("http")}") };
        await using MySqlConnection other = await database.OpenAsync();
        await RunAsync(other, "LOCK TABLES tb1 WRITE");

        // One call holds the only connection and waits for the lock, one waits for a connection, the others are
        // rejected. The limits differ, so no two calls share a read batch. On a busy machine the waiting call may come
        // too late to reach its timeout.
        string scraped = "";
        for (int attempt = 0; attempt < 10 && !scraped.Contains("db_client_connection_timeouts_total{"); attempt++)
        {
            Task<int>[] calls = [.. Enumerable.Range(1, 8).Select(async limit =>
            {
                using HttpResponseMessage reply = await client.GetAsync($"/user/list?limit={limit}");
                return (int)reply.StatusCode;
            })];
            int[] statuses = await Task.WhenAll(calls);
            Assert.Contains(503, statuses);
            scraped = await ScrapeAsync(silo);
        }

        await RunAsync(other, "UNLOCK TABLES");
        using (HttpResponseMessage well = await client.GetAsync("/user/list")) well.EnsureSuccessStatusCode();

        scraped = await ScrapeAsync(silo) + await ScrapeAsync(api);
        Assert.Contains("reason=\"queue-full\"", scraped, StringComparison.Ordinal);

        // Kill the pool's sessions on the server; the next request finds them dead.
        await using MySqlConnection root = new(database.Server.RootConnectionString);
        await root.OpenAsync();
        foreach (long session in await SessionsAsync(root, "upool_pool")) await RunAsync(root, $"KILL {session}");
        for (int attempt = 0; attempt < 100 && !scraped.Contains("upool_connection_closed_total{"); attempt++)
        {
            using HttpResponseMessage reply = await client.GetAsync("/user/list");
            await Task.Delay(100);
            scraped += await ScrapeAsync(silo);
        }

        return scraped;
    }

    private static async Task<long[]> SessionsAsync(MySqlConnection connection, string user)
    {
        await using var command = new MySqlCommand($"SELECT id FROM {Sql.ProcessList} WHERE user = @user", connection);
        command.Parameters.AddWithValue("@user", user);
        var sessions = new List<long>();
        await using MySqlDataReader reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync()) sessions.Add(reader.GetInt64(0));

        return [.. sessions];
    }

    private static async Task RunAsync(MySqlConnection connection, string statement)
    {
        await using var command = new MySqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<string> ScrapeAsync(StandIn pod)
    {
        ServiceMonitor monitor = (await Overlay.RenderAsync("monitoring")).One<ServiceMonitor>("upool");
        MonitorEndpoint endpoint = Assert.Single(monitor.Spec.Endpoints);
        using var client = new HttpClient();
        client.DefaultRequestHeaders.Authorization =
            new AuthenticationHeaderValue(endpoint.Authorization.Type, "test-key");
        return await client.GetStringAsync($"http://{pod.EndPoint(endpoint.Port)}{endpoint.Path}") + "\n";
    }

    private static async Task<string[]> QuestionsAsync()
    {
        PrometheusRule rules = (await Overlay.RenderAsync("monitoring")).One<PrometheusRule>("upool");
        var dashboard = JsonSerializer.Deserialize<Dashboard>(Repository.Text(DashboardFile, "the dashboard"))!;
        return
        [
            .. rules.Spec.Groups.SelectMany(group => group.Rules).Select(rule => rule.Expr),
            .. dashboard.Panels.SelectMany(panel => panel.Targets).Select(target => target.Expr),
        ];
    }

    private static HashSet<string> Exported(string scraped) =>
        [
            .. scraped.Split('\n').Where(line => line.Length > 0 && line[0] != '#')
                .Select(line => line.Split('{', ' ')[0]),
        ];

    private static IEnumerable<string> MetricsIn(string question)
    {
        string bare = Braced().Replace(question, "");
        return Word().Matches(bare).Where(word => !bare[(word.Index + word.Length)..].TrimStart().StartsWith('('))
            .Select(word => word.Value).Where(word => !Operators.Contains(word));
    }

    // Selectors, ranges, and label lists.
    [GeneratedRegex("""\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring)\s*\([^)]*\)""")]
    private static partial Regex Braced();

    [GeneratedRegex(@"\b[a-z_][a-z0-9_]*\b")]
    private static partial Regex Word();

    [GeneratedRegex(@"\b([a-z_][a-z0-9_]*)\{([^}]*)\}")]
    private static partial Regex Selector();

    [GeneratedRegex("""(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"?""")]
    private static partial Regex Label();

    [GeneratedRegex("""\breason=~?"([^"]*)"?""")]
    private static partial Regex Reason();
}
