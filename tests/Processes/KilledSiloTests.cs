using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

using MySqlConnector;

using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>One of three silo processes is killed (SIGKILL) under load. No part is simulated.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class KilledSiloTests(KilledSiloTests.ThreeSilos silos) : IClassFixture<KilledSiloTests.ThreeSilos>
{
    private const int Writers = 16;
    private const int Readers = 8;

    // On two busy cores a rent or a request may wait longer than its default allows; these tests do not check that.
    private static readonly Dictionary<string, string?> Patience = new()
    {
        ["UPool__Pool__RentTimeout"] = "00:00:03",
        ["UPool__Http__RequestTimeout"] = "00:00:10",
    };

    // A steady load of about 400 requests a second; without the pause the clients alone would saturate the machine.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    private readonly string _name = Guid.NewGuid().ToString("N");
    private readonly ConcurrentDictionary<long, string> _acknowledged = new();
    private readonly ConcurrentDictionary<string, int> _writes = new();
    private readonly ConcurrentDictionary<string, int> _reads = new();

    // By writer: calls begun.
    private readonly int[] _calls = new int[Writers];

    [Fact]
    public async Task KillSilo_UnderReadsAndWrites_ReadsSucceedAndNoAcknowledgedWriteIsLost()
    {
        ProcessCluster cluster = await silos.WholeAsync();
        using var stop = new CancellationTokenSource();
        Task load = Task.WhenAll(
            Enumerable.Range(0, Writers).Select(writer => WriteAsync(cluster.Http, writer, stop.Token))
                .Concat(Enumerable.Range(0, Readers).Select(_ => ReadAsync(cluster.Http, stop.Token))));

        await UntilAsync(() => _acknowledged.Count > 300 && Count(_reads, "200") > 100, cluster);
        ProcessHost victim = cluster.Silos[1];
        victim.Kill9();
        cluster.Forget(victim);
        int atKill = _acknowledged.Count;

        // Until every call that the dead silo may have had was answered, and the others serve again.
        int[] calls = [.. _calls];
        await UntilAsync(() => _calls.Zip(calls).All(static pair => pair.First > pair.Second + 1), cluster);
        await UntilAsync(() => _acknowledged.Count > atKill + 700, cluster);
        await stop.CancelAsync();
        await load;

        string figures = $"writes: {Print(_writes)}; reads: {Print(_reads)}";
        TestContext.Current.TestOutputHelper?.WriteLine(figures);
        Assert.True(_reads.Keys.All(status => status == "200"), $"{figures}\n{cluster.Output}");

        // A write to the dead silo may fail, but the reply must be accurate: unknown, or not done.
        Assert.True(
            _writes.Keys.All(status => status is "201" or "504 outcome unknown" || status.StartsWith("503 ")),
            $"{figures}\n{cluster.Output}");

        await using var connection = new MySqlConnection(cluster.Server.ConnectionString());
        await connection.OpenAsync();
        Dictionary<long, string> stored = [];
        string sql = $"SELECT id, name FROM tb1 WHERE name LIKE '{_name} %'";
        await using (var command = new MySqlCommand(sql, connection))
        await using (MySqlDataReader reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync()) stored[reader.GetInt64(0)] = reader.GetString(1);

        Assert.All(_acknowledged, pair => Assert.Equal(pair.Value, stored.GetValueOrDefault(pair.Key)));

        // No write was silently sent twice: a name is stored once, whatever its reply was.
        Assert.Equal(stored.Count, stored.Values.Distinct().Count());
    }

    [Fact]
    public async Task TerminateSilo_UnderLoad_NoRequestFails()
    {
        ProcessCluster cluster = await silos.WholeAsync();
        using var stop = new CancellationTokenSource();
        Task load = Task.WhenAll(
            Enumerable.Range(0, Writers).Select(writer => WriteAsync(cluster.Http, writer, stop.Token))
                .Concat(Enumerable.Range(0, Readers).Select(_ => ReadAsync(cluster.Http, stop.Token))));
        await UntilAsync(() => _acknowledged.Count > 300, cluster);

        ProcessHost leaving = cluster.Silos[0];
        long startedAt = Stopwatch.GetTimestamp();
        leaving.Terminate();
        int code = await leaving.WaitForExitAsync(TimeSpan.FromSeconds(60));
        TimeSpan took = Stopwatch.GetElapsedTime(startedAt);
        int atExit = _acknowledged.Count;
        await UntilAsync(() => _acknowledged.Count > atExit + 300, cluster);
        cluster.Forget(leaving);
        await cluster.AddSiloAsync();
        int atJoin = _acknowledged.Count;
        await UntilAsync(() => _acknowledged.Count > atJoin + 300, cluster);
        await stop.CancelAsync();
        await load;

        string figures = $"left in {took.TotalSeconds:0.0} s; writes: {Print(_writes)}; reads: {Print(_reads)}";
        TestContext.Current.TestOutputHelper?.WriteLine(figures);
        Assert.Equal(0, code);
        Assert.True(_reads.Keys.All(status => status == "200"), $"{figures}\n{cluster.Output}");
        Assert.True(_writes.Keys.All(status => status == "201"), $"{figures}\n{cluster.Output}");
    }

    private async Task WriteAsync(HttpClient http, int writer, CancellationToken stop)
    {
        for (int number = 0; !stop.IsCancellationRequested; number++)
        {
            Volatile.Write(ref _calls[writer], number);
            string name = $"{_name} writer {writer} number {number}";
            using HttpResponseMessage reply = await http.PostAsJsonAsync("/user", new { name }, CancellationToken.None);
            JsonElement body = await reply.Content.ReadFromJsonAsync<JsonElement>(CancellationToken.None);
            if (reply.StatusCode == HttpStatusCode.Created)
            {
                Add(_writes, "201");
                _acknowledged[body.GetProperty("data").GetProperty("id").GetInt64()] = name;
            }
            else
            {
                string reason = reply.Headers.TryGetValues("UPool-Reason", out var values) ? $" {values.First()}" : "";
                Add(_writes, $"{(int)reply.StatusCode} {body.GetProperty("msg").GetString()}{reason}");
            }

            await Task.Delay(Pause, CancellationToken.None);
        }
    }

    private async Task ReadAsync(HttpClient http, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using HttpResponseMessage reply = await http.GetAsync("/user/list?limit=10", CancellationToken.None);
            Add(_reads, ((int)reply.StatusCode).ToString());
            await Task.Delay(Pause, CancellationToken.None);
        }
    }

    private static void Add(ConcurrentDictionary<string, int> counts, string key) =>
        counts.AddOrUpdate(key, 1, static (_, count) => count + 1);

    private static int Count(ConcurrentDictionary<string, int> counts, string key) => counts.GetValueOrDefault(key);

    private static string Print(ConcurrentDictionary<string, int> counts) =>
        string.Join(", ", counts.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key} x {pair.Value}"));

    private async Task UntilAsync(Func<bool> reached, ProcessCluster cluster)
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (!reached())
        {
            if (Stopwatch.GetElapsedTime(startedAt).TotalSeconds > 60)
                Assert.Fail($"writes: {Print(_writes)}; reads: {Print(_reads)}\n{cluster.Output}");
            await Task.Delay(20);
        }
    }

    /// <summary>One cluster for both tests.</summary>
    public sealed class ThreeSilos : IAsyncDisposable
    {
        private ProcessCluster? _cluster;

        /// <summary>Returns the cluster, restored to three silos.</summary>
        internal async Task<ProcessCluster> WholeAsync()
        {
            _cluster ??= await ProcessCluster.StartAsync(3, Patience);
            await _cluster.AddSilosAsync(3 - _cluster.Silos.Count);
            return _cluster;
        }

        public ValueTask DisposeAsync() => _cluster?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
