using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace UPool.Core;

/// <summary>
/// All instruments of the pool, under OpenTelemetry's names for connection pools; those without such a name are under
/// <c>upool.*</c>. An instrument without a listener costs a field read.
/// </summary>
internal sealed class PoolTelemetry : IDisposable
{
    private const string PoolNameKey = "db.client.connection.pool.name";
    private const string StateKey = "db.client.connection.state";
    private const string ReasonKey = "reason";

    // An exporter's default buckets are made for milliseconds. These range from a rent that finds an idle connection to
    // the longest statement that a caller should wait for.
    private static readonly InstrumentAdvice<double> InSeconds = new()
    {
        HistogramBucketBoundaries =
            [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    };

    private readonly TimeProvider _clock;
    private readonly Meter _meter;
    private readonly KeyValuePair<string, object?> _name;
    private readonly Counter<long> _timeouts;
    private readonly Counter<long> _rejected;
    private readonly Counter<long> _closed;
    private readonly Counter<long> _askings;
    private readonly Counter<long> _callers;
    private readonly Histogram<double> _createTime;
    private readonly Histogram<double> _waitTime;
    private readonly Histogram<double> _useTime;

    public PoolTelemetry(ConnectionPool pool, PoolOptions options)
    {
        _clock = pool.Clock;
        _name = new KeyValuePair<string, object?>(PoolNameKey, options.Name);
        _meter = new Meter(new MeterOptions(MeterName) { Tags = [_name] });
        _timeouts = _meter.CreateCounter<long>(
            "db.client.connection.timeouts", "{timeout}", "Rents that waited too long.");
        _rejected = _meter.CreateCounter<long>("upool.rent.rejected", "{rent}", "Rents refused without waiting.");
        _closed = _meter.CreateCounter<long>(
            "upool.connection.closed", "{connection}", "Connections closed, by reason.");
        _askings = _meter.CreateCounter<long>("upool.shared.askings", "{query}", "Queries of shared reads, by read.");
        _callers = _meter.CreateCounter<long>(
            "upool.shared.callers", "{caller}", "Callers that shared those queries, by read.");
        _createTime = _meter.CreateHistogram<double>(
            "db.client.connection.create_time", "s", "How long it took to open a connection.", advice: InSeconds);
        _waitTime = _meter.CreateHistogram<double>(
            "db.client.connection.wait_time", "s", "How long a rent waited for its connection.", advice: InSeconds);
        _useTime = _meter.CreateHistogram<double>(
            "db.client.connection.use_time", "s", "How long a connection was held.", advice: InSeconds);

        _meter.CreateObservableUpDownCounter(
            "db.client.connection.count", () => Observe(pool), "{connection}", "Open connections, by state.");
        _meter.CreateObservableUpDownCounter(
            "db.client.connection.max", () => Named(pool.Counts.Permits), "{connection}",
            "The most connections allowed.");
        _meter.CreateObservableUpDownCounter(
            "db.client.connection.pending_requests", () => Named(pool.Counts.Pending), "{request}", "Rents that wait.");
        _meter.CreateObservableUpDownCounter(
            "upool.connection.opening", () => Named(pool.Counts.Opening), "{connection}", "Connections being opened.");
        _meter.CreateObservableUpDownCounter(
            "upool.connection.closing", () => Named(pool.Counts.Closing), "{connection}",
            "Connections closed here that the server may still hold.");
    }

    /// <summary>The meter's name, for <c>AddMeter</c>.</summary>
    public const string MeterName = "UPool";

    /// <summary>The attribute that names a shared read, or a shared call.</summary>
    public const string QueryKey = "upool.shared.query";

    public static string NameOf(CloseReason reason) => reason switch
    {
        CloseReason.Pruned => "pruned",
        CloseReason.Retired => "retired",
        CloseReason.Discarded => "discarded",
        CloseReason.Cleared => "cleared",
        CloseReason.Surplus => "surplus",
        CloseReason.Drained => "drained",
        CloseReason.Expired => "expired",
        _ => throw new UnreachableException($"bug: close reason {reason} has no name."),
    };

    public void OnRented(long from, long to) => Record(_waitTime, from, to);

    public void OnReleased(long from, long to) => Record(_useTime, from, to);

    public void OnOpened(long from, long to) => Record(_createTime, from, to);

    public void OnRefused(RefusalReason reason)
    {
        if (reason == RefusalReason.TimedOut) OnTimedOut();
        else Count(_rejected, _rejected.Enabled ? reason.ToHeader() : null);
    }

    /// <summary>A rent has waited too long, whatever reason its refusal gives.</summary>
    public void OnTimedOut() => Count(_timeouts, null);

    public void OnClosed(CloseReason reason) => Count(_closed, NameOf(reason));

    public void OnBatchEnded(string query, int callers)
    {
        Count(_askings, QueryKey, query);
        Count(_callers, QueryKey, query, callers);
    }

    public void Dispose()
    {
        try
        {
            _meter.Dispose();
        }
        catch (Exception)
        {
            // As in RecordGuarded.
        }
    }

    // Takes timestamps, because the duration is computed only for a listener.
    private void Record(Histogram<double> histogram, long from, long to)
    {
        if (histogram.Enabled) RecordGuarded(histogram, _clock.GetElapsedTime(from, to).TotalSeconds);
    }

    private void RecordGuarded(Histogram<double> histogram, double seconds)
    {
        try
        {
            histogram.Record(seconds, _name);
        }
        catch (Exception)
        {
            // A listener is foreign code, called in the middle of a rent: its exceptions must cost no connection and no
            // permit (INV-7).
        }
    }

    private void Count(Counter<long> counter, string? reason) => Count(counter, ReasonKey, reason);

    private void Count(Counter<long> counter, string key, string? value, int by = 1)
    {
        if (!counter.Enabled) return;

        try
        {
            if (value is null) counter.Add(by, _name);
            else counter.Add(by, _name, new KeyValuePair<string, object?>(key, value));
        }
        catch (Exception)
        {
            // As in RecordGuarded.
        }
    }

    private Measurement<int> Named(int value) => new(value, _name);

    private IEnumerable<Measurement<int>> Observe(ConnectionPool pool)
    {
        PoolCounts counts = pool.Counts;
        yield return new Measurement<int>(counts.Idle, _name, new KeyValuePair<string, object?>(StateKey, "idle"));
        yield return new Measurement<int>(counts.Used, _name, new KeyValuePair<string, object?>(StateKey, "used"));
    }
}
