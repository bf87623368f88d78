using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace UPool.Hosting;

/// <summary>Keeps what the health endpoints show. Problems are logged when they change, not at every attempt.</summary>
internal sealed partial class ProcessStatus(
    IHostApplicationLifetime lifetime, ILogger<ProcessStatus> logger, PooledDataSource? pool = null) : IProcessStatus
{
    private readonly Lock _gate = new();

    // Guarded by _gate: by place, so that one place that heals does not wipe out the trouble of another.
    private readonly SortedDictionary<string, string> _problems = new(StringComparer.Ordinal);

    // Guarded by _gate: what the log was told last.
    private readonly Dictionary<string, string?> _told = new(StringComparer.Ordinal);

    private volatile bool _isStarted;

    public bool IsStarted => _isStarted;

    public bool IsStopping => lifetime.ApplicationStopping.IsCancellationRequested;

    public PoolHealth Health
    {
        get
        {
            lock (_gate)
            {
                if (_problems.Count > 0) return new PoolHealth(false, string.Join(" ", _problems.Values));
            }

            return pool?.Health ?? new PoolHealth(true, null);
        }
    }

    public void Started() => _isStarted = true;

    /// <summary>Says what ails at a place, or with null that nothing does any more.</summary>
    /// <param name="place">The place.</param>
    /// <param name="problem">What ails, in words that anybody may read: health needs no key.</param>
    /// <param name="detail">What the log says instead: a server's own words may name its host and the account.</param>
    public void Report(string place, string? problem, string? detail = null)
    {
        lock (_gate)
        {
            _problems.TryGetValue(place, out string? known);
            string? told = detail ?? problem;
            _told.TryGetValue(place, out string? knownTold);
            if (known == problem && knownTold == told) return;

            _told[place] = told;

            if (problem is null)
            {
                _problems.Remove(place);
                LogHealed(place);
            }
            else
            {
                _problems[place] = problem;
                LogProblem(told!);
            }
        }
    }
}
