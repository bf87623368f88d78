using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;
using UPool.Hosting;

namespace UPool.Management;

/// <summary>
/// Reports the limit that this process has reached as the metric <c>upool.limit</c>: 1 for the present one, 0 for the
/// others. Does nothing in a process without a pool.
/// </summary>
internal sealed class LimitMonitor : QuietBackgroundService
{
    // A third of a usual scrape interval, so that each scrape sees a new sample; a sample costs microseconds.
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(5);

    private static readonly Limit[] Limits = Enum.GetValues<Limit>();

    private readonly LimitJudge _judge = new();
    private readonly PooledDataSource? _pool;
    private readonly IProcessStatus _status;
    private readonly PoolOptions _options;
    private readonly TimeProvider _clock;
    private readonly Meter _meter = new(PooledDataSource.MeterName);
    private TimeSpan _cpu = Environment.CpuUsage.TotalTime;
    private long _lookedAt;
    private long _refused;
    private volatile Limit _limit;

    public LimitMonitor(
        IProcessStatus status, IOptions<PoolOptions> options, TimeProvider clock, PooledDataSource? pool = null)
    {
        _pool = pool;
        _status = status;
        _options = options.Value;
        _clock = clock;
        _lookedAt = clock.GetTimestamp();
        if (pool is null) return;

        _meter.CreateObservableGauge(
            "upool.limit", Observe, "{limit}", "Which limit this process has met: 1 for the present one.");
    }

    public override void Dispose()
    {
        _meter.Dispose();
        base.Dispose();
    }

    protected override async Task WorkAsync(CancellationToken stoppingToken)
    {
        if (_pool is null) return;

        using var timer = new PeriodicTimer(LookInterval, _clock);
        while (await timer.WaitForNextTickAsync(stoppingToken)) Look(_pool.Snapshot());
    }

    private void Look(PoolSnapshot pool)
    {
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long refused = pool.TimedOut + pool.Rejected;
        TimeSpan elapsed = _clock.GetElapsedTime(_lookedAt);
        _limit = _judge.Judge(new LimitSample(
            (cpu - _cpu) / (elapsed * Environment.ProcessorCount),
            pool.Pending > 0 || refused > _refused,
            !_status.Health.IsHealthy,
            pool.Use.P50,
            pool.Permits,
            _options.MaxConnections));
        (_cpu, _refused, _lookedAt) = (cpu, refused, _clock.GetTimestamp());
    }

    private IEnumerable<Measurement<int>> Observe()
    {
        Limit present = _limit;
        foreach (Limit limit in Limits)
        {
            yield return new Measurement<int>(
                limit == present ? 1 : 0, new KeyValuePair<string, object?>("limit", NameOf(limit)));
        }
    }

    private static string NameOf(Limit limit) => limit switch
    {
        Limit.None => "none",
        Limit.Cpu => "cpu",
        Limit.Connections => "connections",
        Limit.Budget => "budget",
        Limit.Database => "database",
        _ => throw new ArgumentOutOfRangeException(nameof(limit)),
    };
}
