using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>A request that did not succeed.</summary>
/// <param name="At">When the failure was seen, since the load began.</param>
/// <param name="IsWrite">Whether it was a write.</param>
/// <param name="What">Its status and message, or the error of its connection.</param>
internal sealed record Failure(TimeSpan At, bool IsWrite, string What);

/// <summary>
/// A steady load of 32 clients, half of them writers. Half of the readers and of the writers keep their connections;
/// the others open one for each request. Every reply counts; no request is sent twice.
/// </summary>
internal sealed class Load : IAsyncDisposable
{
    /// <summary>The variable with the number of rounds; the long form of docs/reliability.md uses more.</summary>
    public const string RoundsVariable = "UPOOL_ROLLING_ROUNDS";

    private const int Clients = 32;

    /// <summary>The number of rounds of each test.</summary>
    public static readonly int Rounds =
        int.TryParse(Environment.GetEnvironmentVariable(RoundsVariable), out int rounds) ? rounds : 1;

    // A steady load, not a benchmark: 150 requests a second (300 in the long form) leave processor time to start
    // processes.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(Rounds > 1 ? 100 : 200);

    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<Failure> _failures = new();
    private readonly ConcurrentDictionary<long, string> _acknowledged = new();
    private readonly long _startedAt = Stopwatch.GetTimestamp();
    private readonly Task _running;
    private int _reads;
    private int _writes;
    private long _slowest;

    public Load(IPEndPoint server) =>
        _running = Task.WhenAll(Enumerable.Range(0, Clients).Select(number => RunAsync(server, number)));

    /// <summary>The prefix of the names of the users that it creates.</summary>
    public string Name { get; } = $"load {Guid.NewGuid():N}";

    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_startedAt);

    public int Reads => _reads;

    public int Writes => _writes;

    public TimeSpan Slowest => TimeSpan.FromTicks(Interlocked.Read(ref _slowest));

    public IReadOnlyCollection<Failure> Failures => _failures;

    /// <summary>The users whose creation was acknowledged.</summary>
    public IReadOnlyDictionary<long, string> Acknowledged => _acknowledged;

    /// <summary>The figures in one line, with the failures by kind.</summary>
    public string Report => $"{Reads} reads, {Writes} writes, {Failures.Count} failed, slowest "
        + $"{Slowest.TotalMilliseconds:0} ms"
        + string.Concat(Failures.GroupBy(one => one.What).Select(group =>
            $"\n  {group.Count()} x {group.Key}, from {group.Min(one => one.At.TotalSeconds):0.0} s "
            + $"to {group.Max(one => one.At.TotalSeconds):0.0} s"));

    /// <summary>Writes the figures to the test's output.</summary>
    public void Print(string what) =>
        TestContext.Current.TestOutputHelper?.WriteLine($"{what} in {Elapsed.TotalSeconds:0} s: {Report}");

    /// <summary>Waits until this many more requests have ended.</summary>
    public async Task MoreAsync(int requests)
    {
        int goal = _reads + _writes + requests;
        long startedAt = Stopwatch.GetTimestamp();
        while (_reads + _writes < goal)
        {
            Assert.True(Stopwatch.GetElapsedTime(startedAt).TotalSeconds < 60, $"The load makes no progress: {Report}");
            await Task.Delay(20);
        }
    }

    /// <summary>Stops every client after its current reply.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task RunAsync(IPEndPoint server, int number)
    {
        bool writes = number % 2 == 0;
        using var client = new StrictClient(server, keeps: number % 4 < 2);

        // Spread the clients over the pause.
        await Task.Delay(Pause * number / Clients);
        for (int round = 0; !_stop.IsCancellationRequested; round++)
        {
            long sentAt = Stopwatch.GetTimestamp();
            string name = $"{Name} client {number} round {round}";
            string? failure;
            try
            {
                (int status, string body, string reason) = writes
                    ? await client.SendAsync("POST", "/user", $$"""{"name":"{{name}}"}""")
                    : await client.SendAsync("GET", "/user/list?limit=10");
                failure = status == (writes ? 201 : 200) ? null : $"{status} {body} {reason}".TrimEnd();
                if (failure is null && writes)
                {
                    using JsonDocument json = JsonDocument.Parse(body);
                    _acknowledged[json.RootElement.GetProperty("data").GetProperty("id").GetInt64()] = name;
                }
            }
            catch (Exception exception) when (exception is IOException or OperationCanceledException)
            {
                failure = exception.Message;
            }

            Count(writes, Stopwatch.GetElapsedTime(sentAt), failure);
            await Task.Delay(Pause);
        }
    }

    private void Count(bool isWrite, TimeSpan took, string? failure)
    {
        if (failure is not null) _failures.Enqueue(new Failure(Elapsed, isWrite, failure));
        Interlocked.Increment(ref isWrite ? ref _writes : ref _reads);
        long slowest = Interlocked.Read(ref _slowest);
        while (took.Ticks > slowest)
        {
            long seen = Interlocked.CompareExchange(ref _slowest, took.Ticks, slowest);
            if (seen == slowest) break;

            slowest = seen;
        }
    }
}
