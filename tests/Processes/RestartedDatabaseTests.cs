using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;

using MySqlConnector;

using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>
/// One real Api process with its silo inside, 64 HTTP clients, and a real database that is killed (SIGKILL) and
/// restarted under them: three times, or as often as <c>UPOOL_RESTARTS</c> says.
/// </summary>
[Trait("Needs", "OwnProcesses")]
public sealed class RestartedDatabaseTests
{
    private const string RoundsVariable = "UPOOL_RESTARTS";
    private const int DefaultRounds = 3;
    private const int MaxConnections = 10;
    private const int ControlConnections = 2;
    private const int Clients = 64;

    private static readonly TimeSpan Recovery = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, int> _replies = new();

    [Fact]
    public async Task Database_KilledAndRestartedUnderLoad_SameProcessIsAtFullCapacityWithinTwoSeconds()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartCoHostedAsync(new()
        {
            ["UPool__Pool__MaxConnections"] = MaxConnections.ToString(CultureInfo.InvariantCulture),

            // With sharing on, one query would never use more than two of them.
            ["UPool__Reads__Shared"] = "false",
        });
        using var stop = new CancellationTokenSource();
        Task load = Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => ReadAsync(cluster.Http, stop.Token)));
        int rounds = int.TryParse(
            Environment.GetEnvironmentVariable(RoundsVariable), CultureInfo.InvariantCulture, out int wanted)
            ? wanted
            : DefaultRounds;
        for (int round = 1; round <= rounds; round++)
        {
            await ServedAsync(cluster, 500);
            await cluster.Server.KillAsync();

            // Some client met the dead server and got a typed reply.
            int unavailable = Count("503 error");
            await UntilAsync(
                cluster, TimeSpan.FromSeconds(10), () => Task.FromResult(Count("503 error") > unavailable));

            await cluster.Server.StartAsync();
            long backAt = Stopwatch.GetTimestamp();
            int open = 0;
            await UntilAsync(cluster, TimeSpan.FromSeconds(20), async () =>
            {
                JsonElement pool = await PoolAsync(cluster.Management);
                open = pool.GetProperty("idle").GetInt32() + pool.GetProperty("used").GetInt32();
                return open == MaxConnections;
            });
            TimeSpan took = Stopwatch.GetElapsedTime(backAt);
            await ServedAsync(cluster, 1000);

            // The restarted server counts from its start, so no reset is needed. The observer is one of the sessions.
            long most = await MostSessionsAsync(cluster.Server) - 1;
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"restart {round}: full capacity {took.TotalMilliseconds:0} ms after the server's return, at most "
                + $"{most} sessions since (bound {MaxConnections + ControlConnections}); replies so far {Print()}");
            TimeSpan plain = await PlainOpensAsync(cluster.Server);
            Assert.True(
                took <= Recovery + plain,
                $"full capacity took {took}, {MaxConnections} opens by the driver alone {plain}\n{cluster.Output}");
            Assert.InRange(most, 1, MaxConnections + ControlConnections);
        }

        await stop.CancelAsync();
        await load;
        Assert.False(cluster.Api.HasExited, cluster.Output);
        Assert.True(
            _replies.Keys.All(static reply => reply.StartsWith("200 ", StringComparison.Ordinal)
                || reply.StartsWith("503 ", StringComparison.Ordinal) || reply is "500 error" or "504 error"),
            $"{Print()}\n{cluster.Output}");
    }

    private async Task ReadAsync(HttpClient http, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using HttpResponseMessage reply = await http.GetAsync("/user/list", CancellationToken.None);
            using JsonDocument body = JsonDocument.Parse(await reply.Content.ReadAsStringAsync(CancellationToken.None));
            string what = $"{(int)reply.StatusCode} {body.RootElement.GetProperty("msg").GetString()}";
            _replies.AddOrUpdate(what, 1, static (_, count) => count + 1);

            // A refused client retries a little later, as Retry-After requests.
            if (reply.StatusCode != HttpStatusCode.OK) await Task.Delay(10, CancellationToken.None);
        }
    }

    private static async Task<JsonElement> PoolAsync(HttpClient http)
    {
        using HttpResponseMessage reply = await http.GetAsync("/upool/pool");
        using JsonDocument body = JsonDocument.Parse(await reply.Content.ReadAsStringAsync());
        return body.RootElement.GetProperty("data").GetProperty("silos")[0].GetProperty("pool").Clone();
    }

    private static async Task<long> MostSessionsAsync(DatabaseServer server)
    {
        await using var observer = new MySqlConnection(server.RootConnectionString + ";Pooling=false");
        await observer.OpenAsync();
        await using MySqlCommand command = observer.CreateCommand();
        command.CommandText =
            $"SELECT VARIABLE_VALUE FROM {Sql.GlobalStatus} WHERE VARIABLE_NAME = 'MAX_USED_CONNECTIONS'";
        return long.Parse((string)(await command.ExecuteScalarAsync())!, CultureInfo.InvariantCulture);
    }

    /// <summary>As many opens as the pool needs, by the driver alone: on a busy machine they take longer too.</summary>
    private static async Task<TimeSpan> PlainOpensAsync(DatabaseServer server)
    {
        long startedAt = Stopwatch.GetTimestamp();
        for (int opened = 0; opened < MaxConnections; opened++)
        {
            await using var connection = new MySqlConnection(server.RootConnectionString + ";Pooling=false");
            await connection.OpenAsync();
        }

        return Stopwatch.GetElapsedTime(startedAt);
    }

    private Task ServedAsync(ProcessCluster cluster, int more)
    {
        int target = Count("200 ok") + more;
        return UntilAsync(cluster, TimeSpan.FromSeconds(60), () => Task.FromResult(Count("200 ok") >= target));
    }

    private async Task UntilAsync(ProcessCluster cluster, TimeSpan patience, Func<Task<bool>> reached)
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (!await reached())
        {
            if (Stopwatch.GetElapsedTime(startedAt) > patience) Assert.Fail($"{Print()}\n{cluster.Output}");
            await Task.Delay(5);
        }
    }

    private int Count(string reply) => _replies.GetValueOrDefault(reply);

    private string Print() =>
        string.Join(", ", _replies.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key} x {pair.Value}"));
}
