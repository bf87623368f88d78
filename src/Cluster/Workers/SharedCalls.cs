using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Core;

namespace UPool.Cluster.Workers;

/// <summary>The common part of all shared calls of a process: their deadlines, their counts, and whether calls are
/// shared at all.</summary>
internal sealed class SharedCalls : IDisposable
{
    private readonly Meter _meter = new(PooledDataSource.MeterName);
    private readonly Counter<long> _askings;
    private readonly Counter<long> _callers;

    public SharedCalls(IOptions<ReadOptions> options, TimeProvider clock, ILogger<SharedCalls> logger)
    {
        IsShared = options.Value.Shared;
        Clock = clock;
        AnswerGraceTicks = HedgedRead.Ticks(WorkerFailures.AnswerGrace, clock);
        Wheel = new DeadlineWheel(clock, exception => WorkerClientLog.CallFailed(logger, exception));
        _askings = _meter.CreateCounter<long>(
            "upool.call.askings", "{call}", "Shared calls of workers, by read.");
        _callers = _meter.CreateCounter<long>(
            "upool.call.callers", "{caller}", "Callers that shared those calls, by read.");
    }

    public bool IsShared { get; }

    public long AnswerGraceTicks { get; }

    public TimeProvider Clock { get; }

    public DeadlineWheel Wheel { get; }

    public void OnCalled(string name, int callers)
    {
        if (!_askings.Enabled && !_callers.Enabled) return;

        var query = new KeyValuePair<string, object?>(PoolTelemetry.QueryKey, name);
        try
        {
            _askings.Add(1, query);
            _callers.Add(callers, query);
        }
        catch (Exception)
        {
            // A listener is foreign code: its exception must not cost a caller the answer.
        }
    }

    public void Dispose()
    {
        Wheel.Dispose();
        _meter.Dispose();
    }
}
